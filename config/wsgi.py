import os

from django.core.wsgi import get_wsgi_application

from config.bodies import taken_whole

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = taken_whole(get_wsgi_application())

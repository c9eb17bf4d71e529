from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import PasswordResetView
from django.urls import include, path

from config import health

admin.site.site_header = admin.site.site_title = "Rowpost"
admin.site.index_title = "Admin"

urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("admin/", admin.site.urls),
    path(
        "accounts/password_reset/",
        # Not the address that the request names: anybody can write that.
        PasswordResetView.as_view(extra_email_context={"base_url": settings.BASE_URL}),
        name="password_reset",
    ),
    path("accounts/", include("django.contrib.auth.urls")),
    path("", include("feeds.urls")),
]

handler400 = "config.error_pages.bad_request"
handler403 = "config.error_pages.forbidden"
handler404 = "config.error_pages.not_found"
handler500 = "config.error_pages.failed"

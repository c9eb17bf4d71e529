"""All settings of Rowpost, read strictly from the environment.

A bad value stops the start with one sentence. `docs/operations.md` lists the variables.
"""

import contextlib
import ipaddress
import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def _stop(sentence: str) -> NoReturn:
    sys.stderr.write(f"Rowpost cannot start: {sentence}\n")
    raise SystemExit(2)


def _flag(name: str, default: bool) -> bool:
    text = env.str(name, "on" if default else "off").strip().lower()
    if text not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        _stop(f"{name} must be on or off, not {text!r}.")
    return text in {"1", "true", "yes", "on"}


def _number(name: str, default: int, *, at_least: int = 1) -> int:
    text = env.str(name, str(default))
    if not text.isdecimal() or int(text) < at_least:
        _stop(f"{name} must be a whole number of at least {at_least}, not {text!r}.")
    return int(text)


def _secret_key(var: Path) -> str:
    """The key of the environment, or one made once and kept with the data."""
    given: str = env.str("SECRET_KEY", "")
    if given:
        if len(given) < 32:
            _stop("SECRET_KEY must have at least 32 characters.")
        return given
    kept = var / "secret_key"
    try:
        if not kept.exists():
            made = var / f"secret_key.{os.getpid()}"
            made.touch(mode=0o600)
            made.write_text(secrets.token_urlsafe(48))
            with contextlib.suppress(FileExistsError):
                os.link(made, kept)  # whole or not at all; of two processes, one wins
            made.unlink()
        return kept.read_text()
    except OSError as exc:
        _stop(f"no SECRET_KEY is set and none can be kept in {kept} ({exc.strerror}).")


def _host_of(url: str) -> str:
    """As a request names it, without the port."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        _stop(f"BASE_URL must name a host, as https://rowpost.example does, not be {url!r}.")
    return f"[{host}]" if ":" in host else host


def _networks(name: str) -> list[str]:
    given = [part.strip() for part in env.str(name, "").split(",") if part.strip()]
    for part in given:
        try:
            ipaddress.ip_network(part)
        except ValueError as exc:
            _stop(f"{name} must list networks such as 10.0.0.0/8, separated by commas: {exc}.")
    return given


def _database(var: Path) -> dict[str, Any]:
    url = env.str("DATABASE_URL", f"sqlite:///{var / 'rowpost.sqlite3'}")
    try:
        config: dict[str, Any] = dict(env.db_url_config(url))
    except Exception as exc:
        _stop(f"DATABASE_URL cannot be read ({exc}); use postgres://user:password@host:5432/name.")
    engine = config.get("ENGINE", "")
    if engine.endswith("sqlite3"):
        config["OPTIONS"] = {
            # DEFERRED, the default, fails a read followed by a write at once, whatever the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                # FULL: a commit outlives a power cut. NORMAL, the usual companion of WAL, would take back
                # the last ones, an upload that was accepted among them.
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;"
                "PRAGMA temp_store=MEMORY;"
            ),
        }
        # A file, so that processes and threads of a test run can meet in it.
        config["TEST"] = {"NAME": str(var / "test.sqlite3")}
    elif engine.endswith("postgresql"):
        config["CONN_MAX_AGE"] = 600
        config["CONN_HEALTH_CHECKS"] = True
        # Rows are reached by key. Priced as on a disk that turns, PostgreSQL would rather read whole
        # tables; and no statement runs long enough to be worth compiling.
        options = {"connect_timeout": 5, "options": "-c random_page_cost=1.1 -c jit=off"}
        config["OPTIONS"] = options | config.get("OPTIONS", {})
    else:
        _stop("DATABASE_URL must name sqlite:// or postgres://.")
    return config


VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var"))).resolve()
try:
    VAR_DIR.mkdir(parents=True, exist_ok=True)
except OSError as exc:
    _stop(f"the data folder {VAR_DIR} cannot be made ({exc.strerror}).")

DEBUG = _flag("DEBUG", False)
SECRET_KEY = _secret_key(VAR_DIR)
# Older keys with which secrets in the database may still be read.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
BASE_URL = env.str("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
if not BASE_URL.startswith(("http://", "https://")):
    _stop(f"BASE_URL must start with http:// or https://, not be {BASE_URL!r}.")
_base_host = _host_of(BASE_URL)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", _base_host])
CSRF_TRUSTED_ORIGINS = [BASE_URL]
ALLOWED_NETWORKS = _networks("ALLOWED_NETWORKS")

INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "feeds.apps.FeedsConfig",
    "deliveries.apps.DeliveriesConfig",
    "outbox.apps.OutboxConfig",
    "axes",
    "django_celery_beat",
    "django_htmx",
    "config.apps.ConfiguredAdmin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.content_security_policy",
    "feeds.uploads.leave_nothing_behind",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.middleware.sign_in_again",
    "config.middleware.gone_meanwhile",
    # Every page needs a login unless it says otherwise: none is left open by forgetting.
    "config.middleware.SignInFirst",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.no_blank_page",
    "axes.middleware.AxesMiddleware",  # the last: it takes the place of the answer to a failed sign-in
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": _database(VAR_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Five failures of a name from one address close the sign-in for them, and for nobody else.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # the time that the page tells stays true
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "config.signing_in.locked_out"
AXES_USERNAME_CALLABLE = "config.signing_in.name_tried"
AXES_CLIENT_IP_CALLABLE = "config.signing_in.client_address"
# Our own proxies between people and the web process: so many addresses at the end of X-Forwarded-For.
PROXIES = _number("PROXIES", 0, at_least=0)
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "feeds:list"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "config.error_pages.csrf_failed"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static", ("samples", BASE_DIR / "config" / "demo" / "samples")]

_storage_url = env.str("STORAGE_URL", f"file://{VAR_DIR / 'uploads'}")
if not _storage_url.startswith("file:///"):
    _stop(f"STORAGE_URL must be file:// and an absolute folder, not {_storage_url!r}.")
MEDIA_ROOT = Path(_storage_url.removeprefix("file://"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
FILE_UPLOAD_TEMP_DIR = None
FILE_UPLOAD_HANDLERS = ["feeds.uploads.FeedUploadHandler"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 100
DATA_UPLOAD_MAX_NUMBER_FIELDS = 15_000  # a mapping of 1,000 columns, in a form with 13 inputs for each
FILE_UPLOAD_PERMISSIONS = 0o600

try:
    EMAIL_CONFIG = env.email_url_config(env.str("EMAIL_URL", "consolemail://"))
except Exception as exc:
    _stop(f"EMAIL_URL cannot be read ({exc}); use smtp://user:password@host:587.")
vars().update(EMAIL_CONFIG)
# Seconds for each answer of the mail server: one that says nothing must not keep a worker's thread for good,
# nor so long that the lease is over and the mail is sent once more.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "rowpost@localhost")

# Celery is a wake-up channel; the database is the queue of record (docs/architecture.md).
CELERY_BROKER_URL = env.str("BROKER_URL", f"embedded:///{VAR_DIR / 'broker.sqlite3'}")
if not CELERY_BROKER_URL.startswith(("embedded://", "redis://", "rediss://", "amqp://", "amqps://")):
    _stop("BROKER_URL must name embedded://, redis:// or amqp://.")
# Days that the rows of a feed are kept after its end; its counts are kept for ever.
RETENTION_DAYS = _number("RETENTION_DAYS", 30)
WORKER_THREADS = _number("WORKER_THREADS", 8)
# Deliveries of one feed that may wait for their first attempt; beyond them its import waits.
IMPORT_WINDOW = _number("IMPORT_WINDOW", 10_000)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:<7} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        name: {"level": env.str("LOG_LEVEL", "INFO")} for name in ("config", "feeds", "deliveries", "outbox")
    },
}

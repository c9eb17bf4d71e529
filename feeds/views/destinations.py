"""Destinations: seen by all who may send there, changed and tried by who looks after them."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from deliveries.errors import DeliveryError
from deliveries.forms import DestinationForm
from deliveries.models import Destination
from feeds import queries
from feeds.destinations import pause_destination, resume_destination, store_destination, try_destination
from feeds.forms import TrialForm
from feeds.mapping import MappingError
from feeds.models import SentTest
from feeds.views.access import SignedIn, place_of
from feeds.views.typed import keeps_typed

SAMPLE = '{\n  "sku": "TEST-1",\n  "name": "A test from Rowpost"\n}'


def destinations(request: SignedIn) -> HttpResponse:
    page = queries.destinations_page(request.user, place_of(request))
    kept = queries.kept_destinations(request.user).filter(id__in=[each.id for each in page.items])
    context = {
        "found": queries.health(page.items),
        "page": page,
        "may_add": queries.may_add(request.user),
        "kept": set(kept.values_list("id", flat=True)),
    }
    return render(request, "feeds/destinations/list.html", context)


@keeps_typed
def add(request: SignedIn) -> HttpResponse:
    if not queries.may_add(request.user):
        raise PermissionDenied
    form = DestinationForm(request.POST or None, groups=queries.groups_to_choose(request.user))
    if _is_to_do(request) and form.is_valid() and (made := _stored(form, request)):
        messages.success(request, f"{made.name} is stored. Send a test to see whether it answers.")
        return redirect("feeds:destination", made.id)
    return render(request, "feeds/destinations/form.html", {"form": form})


@keeps_typed
def change(request: SignedIn, destination_id: int) -> HttpResponse:
    destination = queries.get_destination(request.user, destination_id)
    groups = queries.groups_to_choose(request.user)
    form = DestinationForm(request.POST or None, instance=destination, groups=groups)
    if _is_to_do(request) and form.is_valid() and _stored(form, request):
        messages.success(request, "Stored. Requests from now on are sent like this.")
        return redirect("feeds:destination", destination.id)
    context = {"form": form, "destination": queries.get_destination(request.user, destination_id)}
    return render(request, "feeds/destinations/form.html", context)


def _is_to_do(request: SignedIn) -> bool:
    """Or only to be shown, as it was typed before a sign-in."""
    return request.method == "POST" and "do" not in request.POST


def _stored(form: DestinationForm, request: SignedIn) -> Destination | None:
    """What cannot be stored is told in the form."""
    try:
        return store_destination(form, user_id=request.user.pk)
    except DeliveryError as exc:
        form.add_error(None, str(exc))
        return None


@keeps_typed
def destination(request: SignedIn, destination_id: int) -> HttpResponse:
    """A destination with its health, and Test send."""
    found = queries.get_destination(request.user, destination_id)
    test = queries.sent_test(found, request.GET.get("test", ""))
    form = TrialForm(request.POST or None, initial=_first_request(found, test, request))
    if _is_to_do(request) and form.is_valid():
        return _tried(request, found, form)
    context = {"health": queries.health([found])[0], "destination": found, "form": form, "test": test}
    deeds = queries.deeds_of_destination(found, place_of(request, "deeds"))
    told = deeds.next or any(deed.what == "added" for deed in deeds.items)
    context |= {"deeds": deeds, "added": told}
    return render(request, "feeds/destinations/show.html", context)


def _tried(request: SignedIn, destination: Destination, form: TrialForm) -> HttpResponse:
    test, sent = try_destination(destination, user=request.user, **form.cleaned_data)
    if not sent:
        messages.info(request, "It was sent once, not twice: this is what came of it.")
    return redirect(f"{reverse('feeds:destination', args=[destination.id])}?test={test.ticket}#test")


def _first_request(destination: Destination, test: SentTest | None, request: SignedIn) -> dict[str, str]:
    """What the form begins with: what this person has just tried, else a sample."""
    if test is not None and test.user_id == request.user.pk:
        return dict(test.asked)
    return _sample(destination)


def _sample(destination: Destination) -> dict[str, str]:
    """The first row of the newest feed, else something made up."""
    try:
        request = queries.sample_request(destination)
    except MappingError:
        request = None
    if request is None or request.error:
        body = "" if destination.method in ("GET", "DELETE") else SAMPLE
        return {
            "method": destination.method,
            "body": body,
            "content_type": "application/json" if body else "",
        }
    return {
        "method": request.method,
        "path": request.path,
        "content_type": request.content_type,
        "body": request.body,
    }


@require_POST
def act(request: SignedIn, destination_id: int, action: str) -> HttpResponse:
    """Pause and resume; whoever comes second is told how it stands."""
    found = queries.get_destination(request.user, destination_id)
    if action == "pause":
        done = pause_destination(found.id, user=request.user)
        told = f"Nothing is sent to {found.name} until it is resumed. All rows wait."
    elif action == "resume":
        done = resume_destination(found.id, user=request.user)
        told = f"Rows are sent to {found.name} again."
    else:
        raise Http404
    if done:
        messages.success(request, told)
    else:
        messages.info(request, "It was so already.")
    return redirect("feeds:destination", found.id)

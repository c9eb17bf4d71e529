"""Destinations: seen by all who may send there, changed and tried by admins."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from deliveries.errors import DeliveryError
from deliveries.forms import DestinationForm
from deliveries.models import Destination
from feeds import queries
from feeds.destinations import pause_destination, resume_destination, store_destination, try_destination
from feeds.forms import TrialForm
from feeds.mapping import MappingError
from feeds.views.access import SignedIn, for_admins, text_of

SAMPLE = '{\n  "sku": "TEST-1",\n  "name": "A test from Rowpost"\n}'


def destinations(request: SignedIn) -> HttpResponse:
    page = queries.destinations_page(request.user, after=text_of(request.GET, "after"))
    context = {"found": queries.health(page.items), "page": page}
    return render(request, "feeds/destinations/list.html", context)


@for_admins
def add(request: SignedIn) -> HttpResponse:
    form = DestinationForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and (made := _stored(form, request)):
        messages.success(request, f"{made.name} is stored. Send a test to see whether it answers.")
        return redirect("feeds:destination", made.id)
    return render(request, "feeds/destinations/form.html", {"form": form})


@for_admins
def change(request: SignedIn, destination_id: int) -> HttpResponse:
    destination = queries.get_destination(destination_id)
    form = DestinationForm(request.POST or None, instance=destination)
    if request.method == "POST" and form.is_valid() and _stored(form, request):
        messages.success(request, "Stored. Requests from now on are sent like this.")
        return redirect("feeds:destination", destination.id)
    context = {"form": form, "destination": queries.get_destination(destination_id)}
    return render(request, "feeds/destinations/form.html", context)


def _stored(form: DestinationForm, request: SignedIn) -> Destination | None:
    """What cannot be stored is told in the form."""
    try:
        return store_destination(form, user_id=request.user.pk)
    except DeliveryError as exc:
        form.add_error(None, str(exc))
        return None


@for_admins
def destination(request: SignedIn, destination_id: int) -> HttpResponse:
    """A destination with its health, and Test send."""
    found = queries.get_destination(destination_id)
    form = TrialForm(request.POST or None, initial=_sample(found))
    context = {"health": queries.health([found])[0], "destination": found, "form": form}
    if request.method == "POST" and form.is_valid():
        context["trial"] = try_destination(found, user=request.user, **form.cleaned_data)
    deeds = queries.deeds_of_destination(found)
    context |= {"deeds": deeds, "added": any(deed.what == "added" for deed in deeds)}
    return render(request, "feeds/destinations/show.html", context)


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
@for_admins
def act(request: SignedIn, destination_id: int, action: str) -> HttpResponse:
    """Pause and resume; whoever comes second is told how it stands."""
    found = queries.get_destination(destination_id)
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

"""Who signs in. Called in a process of the stack's own."""

from django.contrib.auth.models import Group, User

PASSWORD = "correct horse battery"


def add(name: str, *, admin: bool = False, group: str = "") -> None:
    user = User.objects.create_user(name, f"{name}@example.com", PASSWORD, is_staff=admin, is_superuser=admin)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])

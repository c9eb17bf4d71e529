from django.urls import path

from feeds.views import columns, destinations, feeds, mappings, overview, results, rows

app_name = "feeds"
urlpatterns = [
    path("", feeds.home, name="home"),
    path("feeds/", feeds.list_feeds, name="list"),
    path("feeds/new/", feeds.upload, name="upload"),
    path("feeds/new/names/<slug:chosen>/", feeds.names, name="names"),
    path("feeds/<uuid:feed_id>/", feeds.show, name="feed"),
    path("feeds/<uuid:feed_id>/live/", feeds.live, name="live"),
    path("feeds/<uuid:feed_id>/do/<slug:action>/", feeds.act, name="act"),
    path("feeds/<uuid:feed_id>/correct/", feeds.correct, name="correct"),
    path("feeds/<uuid:feed_id>/mapping/", feeds.choose_mapping, name="choose_mapping"),
    path("feeds/<uuid:feed_id>/columns/", columns.confirm, name="confirm_columns"),
    path("feeds/<uuid:feed_id>/retry/", feeds.retry, name="retry"),
    path("feeds/<uuid:feed_id>/give-up/", feeds.give_up, name="give_up"),
    path("feeds/<uuid:feed_id>/reasons/", feeds.groups, name="reasons"),
    path("feeds/<uuid:feed_id>/rows/", rows.rows, name="rows"),
    path("feeds/<uuid:feed_id>/rows/<int:number>/", rows.row, name="row"),
    path("feeds/<uuid:feed_id>/rows/<int:number>/edit/", rows.edit, name="edit_row"),
    path("feeds/<uuid:feed_id>/results/<slug:kind>.csv", results.download, name="results"),
    path("feeds/<uuid:feed_id>/results/<slug:kind>.xlsx", results.spreadsheet, name="results_xlsx"),
    path("destinations/", destinations.destinations, name="destinations"),
    path("destinations/new/", destinations.add, name="add_destination"),
    path("destinations/<int:destination_id>/", destinations.destination, name="destination"),
    path("destinations/<int:destination_id>/change/", destinations.change, name="change_destination"),
    path("destinations/<int:destination_id>/do/<slug:action>/", destinations.act, name="act_destination"),
    path("mappings/", mappings.mappings, name="mappings"),
    path("mappings/new/", mappings.add, name="add_mapping"),
    path("mappings/preview/", mappings.preview, name="preview_mapping"),
    path("mappings/aliases/<int:alias_id>/remove/", columns.remove, name="remove_alias"),
    path("mappings/of/<path:name>/", mappings.change, name="mapping"),
    path("overview/", overview.overview, name="overview"),
    path("overview/parked/", overview.retry_parked, name="retry_parked"),
]

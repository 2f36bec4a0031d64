/** A program that uses what openapi-python-client generated. */
export const GENERATED_PYTHON = `
import os
from tocsin_client import Client
from tocsin_client.api.alerts import delete_alerts_id, get_alerts, post_alerts
from tocsin_client.api.events import get_events, post_internal_events
from tocsin_client.models import EventInput, RuleInput

client = Client(base_url=os.environ["API"])
for host in ("web-1", "web-2"):
    event = EventInput.from_dict({"source_id": "python-client", "severity": "high", "event_type": "disk", "payload": {"host.name": host}})
    answer = post_internal_events.sync_detailed(client=client, body=event, x_ingest_token="local-token")
    assert answer.status_code == 201, answer
found = get_events.sync(client=client, source_id="python-client", payload=['["host.name"]=web-1'])
assert [event.payload["host.name"] for event in found] == ["web-1"], found
assert len(get_events.sync(client=client, source_id="python-client")) == 2
rule = post_alerts.sync(client=client, body=RuleInput(name="python", threshold_count=2, window_seconds=60))
assert rule.threshold_count == 2
assert any(one.id == rule.id for one in get_alerts.sync(client=client))
assert delete_alerts_id.sync_detailed(client=client, id=rule.id).status_code == 204
`;

/** A program that uses PagerDuty's client as its users do, with another address. */
export const PAGERDUTY_PYTHON = `
import json, os, time, urllib.request
import pdpyras

session = pdpyras.EventsAPISession("a" * 32)
session.url = os.environ["API"]
key = session.trigger("Disk is full", "web-1", severity="critical", custom_details={"free": 0.01})
assert session.trigger("Disk is fuller", "web-1", dedup_key=key) == key
assert session.acknowledge(key) == key

def incidents():
    with urllib.request.urlopen(os.environ["API"] + "/incidents?limit=50") as answer:
        return [one for one in json.load(answer) if one["group"].get("dedup_key") == key]

def wait(holds):
    until = time.time() + 30
    while not any(holds(one) for one in incidents()):
        assert time.time() < until, incidents()
        time.sleep(0.2)

wait(lambda one: one["state"] == "acknowledged")
assert session.resolve(key) == key
wait(lambda one: one["state"] == "resolved")
assert len(incidents()) == 1
`;

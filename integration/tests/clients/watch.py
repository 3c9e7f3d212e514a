"""Lists the config maps of a namespace and watches them from there, a line for each object."""

import sys

from kubernetes import client, config, watch


def show(what, item):
    annotations = item.metadata.annotations or {}
    print(what, item.metadata.name, "in", annotations.get("tenbin/cluster"), flush=True)


def main(kubeconfig, namespace):
    config.load_kube_config(kubeconfig)
    listing = client.CoreV1Api().list_namespaced_config_map
    first = listing(namespace)
    for item in first.items:
        show("LISTED", item)
    print("WATCHING", flush=True)
    version = first.metadata.resource_version
    for event in watch.Watch().stream(listing, namespace, resource_version=version):
        show(event["type"], event["object"])


main(*sys.argv[1:])

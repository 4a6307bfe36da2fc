/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a program can ask libvirt about the PCI slots of a guest, with any
 * libvirt and a library for JSON:
 *
 *   cc pci-slots.c -o pci-slots $(pkg-config --cflags --libs libvirt json-c)
 *   ./pci-slots URI free DOMAIN         which slots are free
 *   ./pci-slots URI plan FILE           what define would make of the XML in a file
 *   ./pci-slots URI fill DOMAIN FILE    attach the device in a file until no slot is left
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

static const char *classes[] = { "pcie", "conventional" };

static void
die(void)
{
    virErrorPtr error = virGetLastError();

    fprintf(stderr, "error %d: %s\n", error ? error->code : 0, virGetLastErrorMessage());
    exit(EXIT_FAILURE);
}

static void
ignore(void *opaque, virErrorPtr error)
{
    /* the caller prints it */
    (void) opaque;
    (void) error;
}

static char *
readFile(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    if (!file || !text || fread(text, 1, (1 << 20) - 1, file) == 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return text;
}

/* The topology of a domain, from the driver; json_object_put() frees it */
static json_object *
topology(virConnectPtr conn, const char *xml)
{
    char *text = virConnectDomainXMLToNative(conn, "pci-topology", xml, 0);
    json_object *shown;

    if (!text)
        die();
    shown = json_tokener_parse(text);
    free(text);
    return shown;
}

static json_object *
get(json_object *object, const char *key)
{
    json_object *value = NULL;

    json_object_object_get_ex(object, key, &value);
    return value;
}

/* How many slots of a class take a device while the guest runs */
static int
freeSlots(json_object *shown, const char *class)
{
    return json_object_get_int(get(get(get(shown, "free"), class), "slots"));
}

static virDomainPtr
find(virConnectPtr conn, const char *name)
{
    virDomainPtr domain = virDomainLookupByName(conn, name);

    if (!domain)
        die();
    return domain;
}

static json_object *
topologyOf(virConnectPtr conn, virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    json_object *shown;

    if (!xml)
        die();
    shown = topology(conn, xml);
    free(xml);
    return shown;
}

static void
showFree(virConnectPtr conn, const char *name)
{
    virDomainPtr domain = find(conn, name);
    json_object *shown = topologyOf(conn, domain);
    size_t i;

    for (i = 0; i < 2; i++)
        printf("%s: %d free\n", classes[i], freeSlots(shown, classes[i]));

    json_object_put(shown);
    virDomainFree(domain);
}

static void
plan(virConnectPtr conn, const char *path)
{
    char *xml = readFile(path);
    char *planned = virConnectDomainXMLToNative(conn, "planned-xml", xml, 0);

    if (!planned)
        die();
    fputs(planned, stdout);
    free(planned);
    free(xml);
}

static void
fill(virConnectPtr conn, const char *name, const char *path)
{
    virDomainPtr domain = find(conn, name);
    json_object *shown = topologyOf(conn, domain);
    char *device = readFile(path);
    int promised = freeSlots(shown, classes[0]) + freeSlots(shown, classes[1]);
    int done = 0;

    while (virDomainAttachDeviceFlags(domain, device, VIR_DOMAIN_AFFECT_LIVE) == 0)
        done++;
    if (virGetLastError()->code != VIR_ERR_OPERATION_FAILED)
        die();
    fprintf(stderr, "%s\n", virGetLastErrorMessage());
    printf("%d were free, %d attached\n", promised, done);

    free(device);
    json_object_put(shown);
    virDomainFree(domain);
}

int
main(int argc, char **argv)
{
    virConnectPtr conn;

    virSetErrorFunc(NULL, ignore);

    if (argc < 4 || !(conn = virConnectOpen(argv[1])))
        die();

    if (strcmp(argv[2], "free") == 0)
        showFree(conn, argv[3]);
    else if (strcmp(argv[2], "plan") == 0)
        plan(conn, argv[3]);
    else if (strcmp(argv[2], "fill") == 0 && argc > 4)
        fill(conn, argv[3], argv[4]);

    virConnectClose(conn);
    return EXIT_SUCCESS;
}

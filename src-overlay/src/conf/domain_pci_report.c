/*
 * domain_pci_report.c: PCI controllers and devices of a guest, for people and
 *                      programs
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What domain XML says is read here, for the hypervisor drivers and, where a
 * daemon has no answer, for virsh. Nothing is concluded from it: which slots
 * are free, and what a device needs, only the driver knows.
 */

#include <config.h>

#include "domain_pci_report.h"
#include "virerror.h"
#include "virstring.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

VIR_ENUM_IMPL(virDomainPCIClass,
              VIR_DOMAIN_PCI_CLASS_LAST,
              "pcie",
              "conventional",
);

/* Elements that can have a PCI address, and where they say what they are: in an
 * attribute, or in an attribute of a child ("child@attribute") */
static const struct {
    const char *element;
    const char *subtype;
    const char *model[2];   /* the first of them that is there */
    const char *target;
} virDomainPCIReportElements[] = {
    { "controller", "@type", { "@model" }, "@index" },
    { "crypto", NULL, { "@model" }, NULL },
    { "disk", NULL, { "@model", "target@bus" }, "target@dev" },
    { "filesystem", NULL, { "@model", "driver@type" }, "target@dir" },
    { "hostdev", "@type", { "@model" }, NULL },
    { "input", "@type", { "@model", "@bus" }, NULL },
    { "interface", NULL, { "model@type" }, "target@dev" },
    { "iommu", NULL, { "@model" }, NULL },
    { "memballoon", NULL, { "@model" }, NULL },
    { "memory", NULL, { "@model" }, NULL },
    { "panic", NULL, { "@model" }, NULL },
    { "rng", NULL, { "@model" }, NULL },
    { "serial", NULL, { "target@type" }, "target@port" },
    { "shmem", NULL, { "model@type" }, "@name" },
    { "sound", NULL, { "@model" }, NULL },
    { "video", NULL, { "model@type" }, NULL },
    { "vsock", NULL, { "@model" }, "cid@address" },
    { "watchdog", NULL, { "@model" }, NULL },
};


static void
virDomainPCIReportItemFree(void *opaque)
{
    virDomainPCIReportItem *item = opaque;
    size_t i;

    g_free(item->type);
    g_free(item->subtype);
    g_free(item->model);
    g_free(item->target);
    g_free(item->mac);
    g_free(item->alias);
    for (i = 0; i < VIR_DOMAIN_PCI_HINT_LAST; i++)
        g_free(item->hints[i]);
    g_free(item->busNr);
    g_free(item->node);
    g_free(item->targetIndex);
    g_free(item->group);
    g_free(item);
}


/**
 * virDomainPCIReportFree:
 * @report: report to free, or NULL
 */
void
virDomainPCIReportFree(virDomainPCIReport *report)
{
    if (!report)
        return;

    g_free(report->name);
    g_free(report->arch);
    g_free(report->machine);
    g_ptr_array_unref(report->items);
    g_ptr_array_unref(report->preferences);
    g_free(report->promises);
    g_free(report);
}


/* -- reading XML --------------------------------------------------------- */

static xmlNodePtr
virDomainPCIReportChild(xmlNodePtr node,
                        const char *name)
{
    xmlNodePtr child;

    for (child = node ? node->children : NULL; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && virXMLNodeNameEqual(child, name))
            return child;
    }

    return NULL;
}


/* What @path says, which is "@attribute" or "child@attribute" */
static char *
virDomainPCIReportText(xmlNodePtr node,
                       const char *path)
{
    const char *attribute = path ? strchr(path, '@') : NULL;

    if (!attribute)
        return NULL;

    if (attribute > path) {
        g_autofree char *child = g_strndup(path, attribute - path);

        node = virDomainPCIReportChild(node, child);
    }

    return node ? virXMLPropString(node, attribute + 1) : NULL;
}


/* The device of the host that is handed to the guest */
static char *
virDomainPCIReportHostDevice(xmlNodePtr hostdev)
{
    xmlNodePtr source = virDomainPCIReportChild(hostdev, "source");
    xmlNodePtr host = virDomainPCIReportChild(source, "address");
    g_autofree char *type = virXMLPropString(hostdev, "type");
    virPCIDeviceAddress addr = { 0 };

    if (host && STREQ_NULLABLE(type, "mdev"))
        return virXMLPropString(host, "uuid");

    if (host && STREQ_NULLABLE(type, "pci") &&
        virPCIDeviceAddressParseXML(host, &addr) == 0)
        return virPCIDeviceAddressAsString(&addr);

    return NULL;
}


static int
virDomainPCIReportReadController(virDomainPCIReportItem *item,
                                 xmlNodePtr node)
{
    xmlNodePtr target = virDomainPCIReportChild(node, "target");
    g_autofree char *hotplug = virDomainPCIReportText(node, "target@hotplug");
    xmlNodePtr numa;
    int model = -1;

    item->isController = true;
    item->switchedOff = STREQ_NULLABLE(hotplug, "off");
    item->busNr = virDomainPCIReportText(node, "target@busNr");
    item->targetIndex = virDomainPCIReportText(node, "target@index");
    item->group = virDomainPCIReportText(node, "target@group");
    if (target && virDomainPCIWindowsParseXML(target, &item->windows) < 0)
        return -1;
    if ((numa = virDomainPCIReportChild(target, "node")))
        item->node = virXMLNodeContentString(numa);

    if (item->model &&
        (model = virDomainControllerModelPCITypeFromString(item->model)) >= 0) {
        item->isRoot = !virDomainPCIControllerModelToConnectType(model);
        if (virDomainPCIAddressBusSetModel(&item->bus, model, true) < 0)
            return -1;
    }

    if (item->target) {
        if (virStrToLong_uip(item->target, NULL, 10, &item->idx) < 0) {
            virReportError(VIR_ERR_XML_ERROR,
                           _("cannot parse controller index %1$s"), item->target);
            return -1;
        }
        item->indexed = true;
    } else if (item->isRoot) {
        /* the only one whose index need not be looked for */
        item->indexed = true;
    }

    return 0;
}


/* Reads one child of <devices>. Those that are on another bus than PCI are left
 * out. */
static int
virDomainPCIReportReadDevice(virDomainPCIReport *report,
                             xmlNodePtr node)
{
    xmlNodePtr address = virDomainPCIReportChild(node, "address");
    g_autofree char *bus = address ? virXMLPropString(address, "type") : NULL;
    g_autofree char *type = virXMLPropString(node, "type");
    virDomainPCIReportItem *item = NULL;
    size_t e;
    size_t i;

    for (e = 0; e < G_N_ELEMENTS(virDomainPCIReportElements); e++) {
        if (virXMLNodeNameEqual(node, virDomainPCIReportElements[e].element))
            break;
    }

    if (address ? STRNEQ_NULLABLE(bus, "pci") : e == G_N_ELEMENTS(virDomainPCIReportElements))
        return 0;

    item = g_new0(virDomainPCIReportItem, 1);
    g_ptr_array_add(report->items, item);
    item->guestNode = -1;
    item->type = g_strdup((const char *) node->name);
    item->alias = virDomainPCIReportText(node, "alias@name");
    item->mac = virDomainPCIReportText(node, "mac@address");

    if (e < G_N_ELEMENTS(virDomainPCIReportElements)) {
        item->subtype = virDomainPCIReportText(node, virDomainPCIReportElements[e].subtype);
        item->target = virDomainPCIReportText(node, virDomainPCIReportElements[e].target);
        for (i = 0; i < G_N_ELEMENTS(virDomainPCIReportElements[e].model) && !item->model; i++)
            item->model = virDomainPCIReportText(node, virDomainPCIReportElements[e].model[i]);
    }

    if (STREQ(item->type, "hostdev"))
        item->target = virDomainPCIReportHostDevice(node);
    if (STREQ(item->type, "interface") && STREQ_NULLABLE(type, "hostdev"))
        item->subtype = g_strdup(type);

    if (STREQ(item->type, "controller") && STREQ_NULLABLE(type, "pci") &&
        virDomainPCIReportReadController(item, node) < 0)
        return -1;

    if (address) {
        for (i = 0; i < VIR_DOMAIN_PCI_HINT_LAST; i++)
            item->hints[i] = virXMLPropString(address, virDomainPCIHintTypeToString(i));
        /* drivers do not read the address of a memballoon of model 'none' */
        if (virPCIDeviceAddressParseXML(address, &item->addr) < 0)
            virResetLastError();
        else
            item->placed = !virPCIDeviceAddressIsEmpty(&item->addr);
    }

    return 0;
}


static void
virDomainPCIReportReadPreferences(virDomainPCIReport *report,
                                  xmlNodePtr domain)
{
    static const char *slots[] = {
        [VIR_DOMAIN_PCI_CLASS_EXPRESS] = "pcieHotplugSlots",
        [VIR_DOMAIN_PCI_CLASS_CONVENTIONAL] = "pciHotplugSlots",
    };
    xmlNodePtr node = virDomainPCIReportChild(domain, "preferences");

    for (node = node ? node->children : NULL; node; node = node->next) {
        g_autofree char *name = NULL;
        g_autofree char *value = NULL;
        unsigned int number;
        size_t i;

        if (node->type != XML_ELEMENT_NODE ||
            !virXMLNodeNameEqual(node, "preference") ||
            !(name = virXMLPropString(node, "name")) ||
            !(value = virXMLPropString(node, "value")))
            continue;

        for (i = 0; i < VIR_DOMAIN_PCI_CLASS_LAST; i++) {
            if (STREQ(name, slots[i]) &&
                virStrToLong_uip(value, NULL, 10, &number) == 0) {
                report->asked[i] += number;
                report->asks[i] = true;
            }
        }

        g_ptr_array_add(report->preferences, g_steal_pointer(&name));
        g_ptr_array_add(report->preferences, g_steal_pointer(&value));
    }
}


/**
 * virDomainPCIReportNew:
 * @domain: a <domain> element, live or inactive
 *
 * Returns: what it says about PCI, to be freed by the caller with
 *          virDomainPCIReportFree(), or NULL with VIR_ERR_XML_ERROR reported
 */
virDomainPCIReport *
virDomainPCIReportNew(xmlNodePtr domain)
{
    g_autoptr(virDomainPCIReport) report = g_new0(virDomainPCIReport, 1);
    xmlNodePtr os = virDomainPCIReportChild(domain, "os");
    xmlNodePtr node = virDomainPCIReportChild(domain, "devices");
    xmlNodePtr name = virDomainPCIReportChild(domain, "name");

    report->items = g_ptr_array_new_with_free_func(virDomainPCIReportItemFree);
    report->preferences = g_ptr_array_new_with_free_func(g_free);
    report->name = name ? virXMLNodeContentString(name) : NULL;
    report->arch = virDomainPCIReportText(os, "type@arch");
    report->machine = virDomainPCIReportText(os, "type@machine");

    virDomainPCIReportReadPreferences(report, domain);

    for (node = node ? node->children : NULL; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE &&
            virDomainPCIReportReadDevice(report, node) < 0)
            return NULL;
    }

    return g_steal_pointer(&report);
}


/**
 * virDomainPCIReportAddChipset:
 * @report: report
 * @addr: address of a device that the machine has and no XML speaks of
 * @name: what it is called, or NULL
 */
void
virDomainPCIReportAddChipset(virDomainPCIReport *report,
                             const virPCIDeviceAddress *addr,
                             const char *name)
{
    virDomainPCIReportItem *item = g_new0(virDomainPCIReportItem, 1);

    item->type = g_strdup("chipset");
    item->model = g_strdup(name);
    item->addr = *addr;
    item->placed = true;
    item->guestNode = -1;
    g_ptr_array_add(report->items, item);
}


/* -- what libvirt has added ------------------------------------------------ */

/* Can @old, as the user wrote it, have become @item? What the user left out,
 * libvirt has chosen. */
static bool
virDomainPCIReportIsSame(const virDomainPCIReportItem *item,
                         const virDomainPCIReportItem *old)
{
    return STREQ(item->type, old->type) &&
        (STRNEQ(item->type, "controller") || STREQ_NULLABLE(item->subtype, old->subtype)) &&
        (!old->placed || virPCIDeviceAddressEqual(&item->addr, &old->addr)) &&
        (STRNEQ(item->type, "controller") || !old->target ||
         STREQ_NULLABLE(item->target, old->target)) &&
        (STRNEQ(item->type, "controller") || !old->model ||
         STREQ_NULLABLE(item->model, old->model));
}


/**
 * virDomainPCIReportMarkAdded:
 * @report: report of a definition that libvirt has completed
 * @before: report of the XML that it was made of
 *
 * Marks in @report what @before does not have. Devices keep their order, and
 * those that libvirt adds come after those that were there.
 */
void
virDomainPCIReportMarkAdded(virDomainPCIReport *report,
                            const virDomainPCIReport *before)
{
    g_autofree bool *used = g_new0(bool, before->items->len + 1);
    size_t first = 0; /* that is not used */
    size_t i;
    size_t j;

    for (i = 0; i < report->items->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(report->items, i);

        item->added = STRNEQ(item->type, "chipset");

        while (first < before->items->len && used[first])
            first++;

        for (j = first; j < before->items->len && item->added; j++) {
            if (!used[j] &&
                virDomainPCIReportIsSame(item, g_ptr_array_index(before->items, j))) {
                used[j] = true;
                item->added = false;
            }
        }
    }
}

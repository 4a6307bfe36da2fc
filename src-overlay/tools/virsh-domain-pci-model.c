/*
 * virsh-domain-pci-model.c: reads the JSON of a PCI topology
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The JSON comes from the driver (format "pci-topology" of
 * virConnectDomainXMLToNative()), or from domain XML where the driver has no
 * such format. In the latter case the keys are missing that only a driver can
 * fill in, and "?" is shown in their place.
 */

#include <config.h>

#include "virsh-domain-pci-model.h"

#include "virbuffer.h"

/* The classes of slots in the summary, by their keys, and their words: without
 * a promise, with one, with one that is not kept, and if only the driver would
 * know */
static const struct {
    const char *key;
    const char *plain;
    const char *asked;
    const char *missing;
    const char *unknown;
    const char *unknownAsked;
} virshPCIClasses[] = {
    { "pcie",
      N_("%1$u PCIe"),
      N_("%1$u PCIe (%2$u asked for)"),
      N_("%1$u PCIe (%2$u asked for, %3$u missing)"),
      N_("? PCIe"),
      N_("? PCIe (%1$u asked for)") },
    { "conventional",
      N_("%1$u conventional"),
      N_("%1$u conventional (%2$u asked for)"),
      N_("%1$u conventional (%2$u asked for, %3$u missing)"),
      N_("? conventional"),
      N_("? conventional (%1$u asked for)") },
};

static void
virshPCIDeviceFree(void *opaque)
{
    virshPCIDevice *dev = opaque;

    g_free(dev->hints);
    g_free(dev->bus);
    g_free(dev);
}

void
virshPCIFree(virshPCI *pci)
{
    if (!pci)
        return;

    g_ptr_array_unref(pci->unplaced);
    g_ptr_array_unref(pci->devices);
    virJSONValueFree(pci->json);
    g_free(pci);
}

static unsigned int
virshPCIGetNumber(virJSONValue *object,
                  const char *key)
{
    unsigned int value = 0;

    ignore_value(virJSONValueObjectGetNumberUint(object, key, &value));
    return value;
}

static bool
virshPCIGetFlag(virJSONValue *object,
                const char *key)
{
    bool value = false;

    ignore_value(virJSONValueObjectGetBoolean(object, key, &value));
    return value;
}

static int
virshPCIReadHint(const char *key,
                 virJSONValue *value,
                 void *opaque)
{
    const char *text = virJSONValueGetString(value);

    virBufferAsprintf(opaque, "%s=%s ", key, text ? text : virJSONValueGetNumberString(value));
    return 0;
}

/* What devices and controllers have in common */
static virshPCIDevice *
virshPCIReadDevice(virshPCI *pci,
                   virJSONValue *object)
{
    g_auto(virBuffer) hints = VIR_BUFFER_INITIALIZER;
    virshPCIDevice *dev = g_new0(virshPCIDevice, 1);
    virJSONValue *address = virJSONValueObjectGet(object, "address");
    virJSONValue *asked = virJSONValueObjectGet(object, "hints");
    virJSONValue *windows = virJSONValueObjectGet(object, "windows");

    g_ptr_array_add(pci->devices, dev);

    dev->type = virJSONValueObjectGetString(object, "type");
    dev->subtype = virJSONValueObjectGetString(object, "subtype");
    dev->model = virJSONValueObjectGetString(object, "model");
    dev->target = virJSONValueObjectGetString(object, "target");
    dev->mac = virJSONValueObjectGetString(object, "mac");
    dev->alias = virJSONValueObjectGetString(object, "alias");
    dev->group = virJSONValueObjectGetString(asked ? asked : object, "group");
    dev->added = virshPCIGetFlag(object, "added");
    dev->hotplug = "?";
    if (virJSONValueObjectHasKey(object, "hotplug"))
        dev->hotplug = virshPCIGetFlag(object, "hotplug") ? "yes" : "no";

    if (!dev->type)
        dev->type = "controller";
    dev->isController = STREQ(dev->type, "controller") &&
        (!dev->subtype || STREQ(dev->subtype, "pci"));

    if (address) {
        dev->placed = true;
        dev->addr.domain = virshPCIGetNumber(address, "domain");
        dev->addr.bus = virshPCIGetNumber(address, "bus");
        dev->addr.slot = virshPCIGetNumber(address, "slot");
        dev->addr.function = virshPCIGetNumber(address, "function");
    }

    if (asked)
        ignore_value(virJSONValueObjectForeachKeyValue(asked, virshPCIReadHint, &hints));
    if (windows)
        ignore_value(virJSONValueObjectForeachKeyValue(windows, virshPCIReadHint, &hints));
    if (dev->isController && dev->group)
        virBufferAsprintf(&hints, "group=%s ", dev->group);
    if (virshPCIGetFlag(object, "switchedOff"))
        virBufferAddLit(&hints, "hotplug=off ");
    virBufferTrim(&hints, " ");
    dev->hints = virBufferContentAndReset(&hints);

    return dev;
}

static void
virshPCIReadController(virshPCI *pci,
                       virJSONValue *object)
{
    virshPCIDevice *dev = virshPCIReadDevice(pci, object);
    virJSONValue *slots = virJSONValueObjectGetArray(object, "freeSlots");
    virshPCIBus *bus = g_new0(virshPCIBus, 1);
    size_t i;

    dev->bus = bus;
    bus->dev = dev;
    bus->idx = virshPCIGetNumber(object, "index");
    bus->kind = virJSONValueObjectGetString(object, "class");
    bus->busNr = virJSONValueObjectGetString(object, "busNr");
    bus->node = virJSONValueObjectGetString(object, "node");
    bus->targetIndex = virJSONValueObjectGetString(object, "targetIndex");
    bus->slots = virshPCIGetNumber(object, "slots");
    bus->hotplug = virshPCIGetFlag(object, "hotplug");
    bus->isolated = virshPCIGetFlag(object, "isolated");
    bus->unreachable = virshPCIGetFlag(object, "unreachable");

    for (i = 0; slots && i < virJSONValueArraySize(slots); i++) {
        unsigned int slot = 0;

        if (virJSONValueGetNumberUint(virJSONValueArrayGet(slots, i), &slot) == 0 &&
            slot < VIRSH_PCI_SLOTS)
            bus->freeSlots |= 1U << slot;
    }

    /* users' own begin with "ua-" */
    if (dev->alias && (STRPREFIX(dev->alias, "pci.") || STRPREFIX(dev->alias, "pcie.")))
        dev->alias = NULL;

    if (bus->idx < VIRSH_PCI_BUSES && !pci->buses[bus->idx])
        pci->buses[bus->idx] = bus;
}

/* Puts @dev on its bus. */
static void
virshPCIPlace(virshPCI *pci,
              virshPCIDevice *dev)
{
    virPCIDeviceAddress *addr = &dev->addr;
    virshPCIDevice **place;

    if (addr->domain != 0 || addr->bus >= VIRSH_PCI_BUSES || !pci->buses[addr->bus] ||
        addr->slot >= VIRSH_PCI_SLOTS || addr->function >= VIRSH_PCI_FUNCTIONS)
        return;

    place = &pci->buses[addr->bus]->fn[addr->slot][addr->function];
    if (*place)
        g_ptr_array_add(pci->unplaced, dev);
    else
        *place = dev;
}

static virJSONValue *
virshPCIGetItem(virshPCI *pci,
                const char *key,
                size_t i)
{
    virJSONValue *array = virJSONValueObjectGetArray(pci->json, key);

    return array && i < virJSONValueArraySize(array) ? virJSONValueArrayGet(array, i) : NULL;
}

/* Marks @bus and what leads to it. Controllers may be in a circle; each is
 * marked once. */
static void
virshPCIMarkLeading(virshPCI *pci,
                    virshPCIBus *bus)
{
    while (bus && !bus->leadsToFree) {
        bus->leadsToFree = true;
        bus = bus->dev->placed && bus->dev->addr.bus < VIRSH_PCI_BUSES ?
            pci->buses[bus->dev->addr.bus] : NULL;
    }
}

/* Reads @json, which is taken over. @planned: the user asked for a plan;
 * @unknown: a sentence that says why the driver did not fill in what it knows,
 * or NULL if it did; it must live as long as the result. To be freed with
 * virshPCIFree(). */
virshPCI *
virshPCINew(virJSONValue **json,
            bool planned,
            const char *unknown)
{
    virshPCI *pci = g_new0(virshPCI, 1);
    virJSONValue *object;
    size_t i;

    pci->json = g_steal_pointer(json);
    pci->name = virJSONValueObjectGetString(pci->json, "name");
    pci->arch = virJSONValueObjectGetString(pci->json, "arch");
    pci->machine = virJSONValueObjectGetString(pci->json, "machine");
    pci->planned = planned;
    pci->known = !unknown;
    pci->unknown = unknown;
    pci->devices = g_ptr_array_new_with_free_func(virshPCIDeviceFree);
    pci->unplaced = g_ptr_array_new();

    for (i = 0; (object = virshPCIGetItem(pci, "controllers", i)); i++)
        virshPCIReadController(pci, object);
    for (i = 0; (object = virshPCIGetItem(pci, "devices", i)); i++)
        virshPCIReadDevice(pci, object);
    for (i = 0; i < pci->devices->len; i++) {
        virshPCIDevice *dev = g_ptr_array_index(pci->devices, i);

        if (dev->placed)
            virshPCIPlace(pci, dev);
    }
    for (i = 0; (object = virshPCIGetItem(pci, "unplaced", i)); i++)
        g_ptr_array_add(pci->unplaced, virshPCIReadDevice(pci, object));

    for (i = 0; i < VIRSH_PCI_BUSES; i++) {
        if (pci->buses[i] &&
            (!pci->known || virshPCIBusCounts(pci->buses[i])))
            virshPCIMarkLeading(pci, pci->buses[i]);
    }

    return pci;
}

/* Has @bus free slots that devices can be plugged into? */
bool
virshPCIBusCounts(const virshPCIBus *bus)
{
    return bus->hotplug && !bus->isolated && bus->freeSlots != 0;
}

/* What is to be shown on @bus, by slot, as an array of virshPCIItem; with
 * @onlyFree only free slots and what leads to some */
GArray *
virshPCIBusItems(virshPCIBus *bus,
                 bool onlyFree)
{
    GArray *items = g_array_new(FALSE, TRUE, sizeof(virshPCIItem));
    uint64_t freeSlots = bus->hotplug && !(onlyFree && bus->isolated) ? bus->freeSlots : 0;
    size_t function;
    size_t slot;

    for (slot = 0; slot < VIRSH_PCI_SLOTS; slot++) {
        virshPCIItem item = { .first = slot, .last = slot };

        if (freeSlots & (1ULL << slot)) {
            while (freeSlots & (1ULL << (item.last + 1)))
                item.last++;
            slot = item.last;
            g_array_append_val(items, item);
            continue;
        }

        for (function = 0; function < VIRSH_PCI_FUNCTIONS; function++) {
            if ((item.dev = bus->fn[slot][function]) &&
                (!onlyFree || (item.dev->bus && item.dev->bus->leadsToFree)))
                g_array_append_val(items, item);
        }
    }

    return items;
}

/* The buses to begin with: the roots, then all others, of which those are to be
 * passed over that have been shown below another */
GPtrArray *
virshPCIRoots(virshPCI *pci,
              bool onlyFree)
{
    GPtrArray *roots = g_ptr_array_new();
    size_t i;

    for (i = 0; i < 2 * VIRSH_PCI_BUSES; i++) {
        virshPCIBus *bus = pci->buses[i % VIRSH_PCI_BUSES];

        if (bus && (bus->leadsToFree || !onlyFree) &&
            (STREQ_NULLABLE(bus->dev->model, "pci-root") ||
             STREQ_NULLABLE(bus->dev->model, "pcie-root") ||
             i >= VIRSH_PCI_BUSES))
            g_ptr_array_add(roots, bus);
    }

    return roots;
}

/* -- words for what is shown ----------------------------------------------- */

/* "02:00.0", with a domain only if it is not 0; to be freed */
char *
virshPCIAddressFormat(const virPCIDeviceAddress *addr)
{
    if (addr->domain != 0)
        return virPCIDeviceAddressAsString(addr);

    return g_strdup_printf("%02x:%02x.%x", addr->bus, addr->slot, addr->function);
}

/* "02:00" or "02:01-1f", to be freed */
char *
virshPCISlotsFormat(const virshPCIBus *bus,
                    size_t first,
                    size_t last)
{
    if (first == last)
        return g_strdup_printf("%02x:%02zx", bus->idx, first);

    return g_strdup_printf("%02x:%02zx-%02zx", bus->idx, first, last);
}

/* "usb controller", "disk" and so on, to be freed */
char *
virshPCIDeviceKind(const virshPCIDevice *dev)
{
    if (dev->isController)
        return g_strdup("pci controller");

    if (dev->subtype &&
        (STREQ(dev->type, "controller") || STREQ(dev->type, "hostdev") ||
         STREQ(dev->type, "input")))
        return g_strdup_printf("%s %s", dev->subtype, dev->type);

    return g_strdup(dev->type);
}

/* "8 PCIe (8 asked for)" */
static char *
virshPCISummaryClass(const virshPCI *pci,
                     size_t kind,
                     bool *missing)
{
    virJSONValue *counts = virJSONValueObjectGet(virJSONValueObjectGet(pci->json, "free"),
                                                 virshPCIClasses[kind].key);
    unsigned int slots = virshPCIGetNumber(counts, "slots");
    unsigned int asked = virshPCIGetNumber(counts, "asked");
    unsigned int lacking = virshPCIGetNumber(counts, "missing");
    bool asks = virJSONValueObjectHasKey(counts, "asked");
    const char *words = virshPCIClasses[kind].plain;

    if (lacking > 0)
        *missing = true;

    if (!pci->known && asks)
        return g_strdup_printf(_(virshPCIClasses[kind].unknownAsked), asked);
    if (!pci->known)
        return g_strdup(_(virshPCIClasses[kind].unknown));
    if (lacking > 0)
        words = virshPCIClasses[kind].missing;
    else if (asks)
        words = virshPCIClasses[kind].asked;

    return g_strdup_printf(_(words), slots, asked, lacking);
}

/* "Free hotpluggable slots: 8 PCIe (8 asked for), 0 conventional", to be freed.
 * @missing is set to true if a promise is not kept. */
char *
virshPCISummary(const virshPCI *pci,
                bool *missing)
{
    g_autofree char *pcie = virshPCISummaryClass(pci, 0, missing);
    g_autofree char *conventional = virshPCISummaryClass(pci, 1, missing);

    return g_strdup_printf(_("Free hotpluggable slots: %1$s, %2$s"),
                           pcie, conventional);
}

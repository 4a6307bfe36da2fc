/*
 * domain_pci_report_json.c: PCI controllers and devices of a guest as JSON
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "domain_pci_report.h"


typedef struct {
    virDomainPCIReportItem *buses[VIR_DOMAIN_PCI_BUSES_MAX];
    GPtrArray *placed;      /* on a bus, by address */
    GPtrArray *unplaced;    /* in the order of the XML */
} virDomainPCIReportOrder;


static int
virDomainPCIReportCompare(const void *a,
                          const void *b)
{
    return virDomainPCIAddressCompare(&(*(virDomainPCIReportItem **) a)->addr,
                                      &(*(virDomainPCIReportItem **) b)->addr);
}


static bool
virDomainPCIReportIsOnBus(const virDomainPCIReportOrder *order,
                          const virDomainPCIReportItem *item)
{
    return item->placed && item->addr.domain == 0 &&
        item->addr.bus < VIR_DOMAIN_PCI_BUSES_MAX &&
        order->buses[item->addr.bus];
}


/* Finds out which controller provides which bus, and what is on none. */
static void
virDomainPCIReportArrange(const virDomainPCIReport *report,
                          virDomainPCIReportOrder *order)
{
    size_t i;

    for (i = 0; i < report->items->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(report->items, i);

        if (item->isController && item->indexed && item->bus.flags &&
            item->idx < VIR_DOMAIN_PCI_BUSES_MAX && !order->buses[item->idx])
            order->buses[item->idx] = item;
    }

    for (i = 0; i < report->items->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(report->items, i);
        bool provides = item->isController && item->indexed &&
            item->idx < VIR_DOMAIN_PCI_BUSES_MAX && order->buses[item->idx] == item;

        if (virDomainPCIReportIsOnBus(order, item) && (provides || !item->isController))
            g_ptr_array_add(order->placed, item);
        else if (!provides && (item->placed || !report->known))
            g_ptr_array_add(order->unplaced, item);
    }

    g_ptr_array_sort(order->placed, virDomainPCIReportCompare);
}


static virJSONValue *
virDomainPCIReportFormatAddress(const virDomainPCIReportItem *item)
{
    virJSONValue *address = virJSONValueNewObject();

    virJSONValueObjectAppendNumberUint(address, "domain", item->addr.domain);
    virJSONValueObjectAppendNumberUint(address, "bus", item->addr.bus);
    virJSONValueObjectAppendNumberUint(address, "slot", item->addr.slot);
    virJSONValueObjectAppendNumberUint(address, "function", item->addr.function);

    return address;
}


static void
virDomainPCIReportFormatString(virJSONValue *object,
                               const char *key,
                               const char *value)
{
    if (value)
        virJSONValueObjectAppendString(object, key, value);
}


/* What is said of devices and controllers alike */
static void
virDomainPCIReportFormatPlace(virJSONValue *object,
                              const virDomainPCIReport *report,
                              const virDomainPCIReportItem *item)
{
    if (item->placed) {
        g_autoptr(virJSONValue) address = virDomainPCIReportFormatAddress(item);

        virJSONValueObjectAppend(object, "address", &address);
    }

    if (report->known) {
        virJSONValueObjectAppendBoolean(object, "hotplug", item->hotplug);
        virDomainPCIReportFormatString(object, "told", item->told);
    }
    if (item->guestNode >= 0)
        virJSONValueObjectAppendNumberUint(object, "guestNode", item->guestNode);
    if (report->planned)
        virJSONValueObjectAppendBoolean(object, "added", item->added);
}


static virJSONValue *
virDomainPCIReportFormatDevice(const virDomainPCIReport *report,
                               const virDomainPCIReportItem *item)
{
    virJSONValue *object = virJSONValueNewObject();
    g_autoptr(virJSONValue) hints = virJSONValueNewObject();
    size_t i;

    virJSONValueObjectAppendString(object, "type", item->type);
    virDomainPCIReportFormatString(object, "subtype", item->subtype);
    virDomainPCIReportFormatString(object, "model", item->model);
    virDomainPCIReportFormatString(object, "target", item->target);
    virDomainPCIReportFormatString(object, "mac", item->mac);
    virDomainPCIReportFormatString(object, "alias", item->alias);
    virDomainPCIReportFormatPlace(object, report, item);

    for (i = 0; i < VIR_DOMAIN_PCI_HINT_LAST; i++)
        virDomainPCIReportFormatString(hints, virDomainPCIHintTypeToString(i), item->hints[i]);
    if (virJSONValueObjectKeysNumber(hints) > 0)
        virJSONValueObjectAppend(object, "hints", &hints);

    return object;
}


static const char *
virDomainPCIReportClass(const virDomainPCIReportItem *item)
{
    if (!(item->bus.flags & VIR_PCI_CONNECT_TYPES_ENDPOINT))
        return "none";

    return virDomainPCIClassTypeToString(item->bus.flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE ?
                                         VIR_DOMAIN_PCI_CLASS_EXPRESS :
                                         VIR_DOMAIN_PCI_CLASS_CONVENTIONAL);
}


static virJSONValue *
virDomainPCIReportFormatFreeSlots(uint32_t slots)
{
    virJSONValue *array = virJSONValueNewArray();

    for (; slots; slots &= slots - 1) {
        g_autoptr(virJSONValue) number = virJSONValueNewNumberUint(__builtin_ctz(slots));

        virJSONValueArrayAppend(array, &number);
    }

    return array;
}


/* In KiB. NULL if there are none. */
static virJSONValue *
virDomainPCIReportFormatWindows(const virDomainPCIWindows *windows)
{
    virJSONValue *object = NULL;
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_WINDOW_LAST; i++) {
        if (!windows->given[i])
            continue;
        if (!object)
            object = virJSONValueNewObject();
        virJSONValueObjectAppendNumberUlong(object, virDomainPCIWindowTypeToString(i),
                                            windows->kib[i]);
    }

    return object;
}


static virJSONValue *
virDomainPCIReportFormatController(const virDomainPCIReport *report,
                                   const virDomainPCIReportOrder *order,
                                   const virDomainPCIReportItem *item)
{
    virJSONValue *object = virJSONValueNewObject();
    g_autoptr(virJSONValue) windows = virDomainPCIReportFormatWindows(&item->windows);

    virJSONValueObjectAppendNumberUint(object, "index", item->idx);
    virJSONValueObjectAppendString(object, "model", item->model);
    virDomainPCIReportFormatString(object, "alias", item->alias);
    if (virDomainPCIReportIsOnBus(order, item))
        virJSONValueObjectAppendNumberUint(object, "parent", item->addr.bus);
    virDomainPCIReportFormatString(object, "busNr", item->busNr);
    virDomainPCIReportFormatString(object, "node", item->node);
    virDomainPCIReportFormatString(object, "targetIndex", item->targetIndex);
    virDomainPCIReportFormatString(object, "group", item->group);
    if (windows)
        virJSONValueObjectAppend(object, "windows", &windows);
    if (item->switchedOff)
        virJSONValueObjectAppendBoolean(object, "switchedOff", true);
    virJSONValueObjectAppendString(object, "class", virDomainPCIReportClass(item));
    virDomainPCIReportFormatPlace(object, report, item);
    if (item->isolated)
        virJSONValueObjectAppendBoolean(object, "isolated", true);
    if (item->unreachable)
        virJSONValueObjectAppendBoolean(object, "unreachable", true);
    virJSONValueObjectAppendNumberUint(object, "slots",
                                       virDomainPCIModelSlots(item->bus.model));
    if (report->known) {
        g_autoptr(virJSONValue) slots = virDomainPCIReportFormatFreeSlots(item->freeSlots);

        virJSONValueObjectAppend(object, "freeSlots", &slots);
    }

    return object;
}


/* The promises of slots of one class, each with what is missing. Returns how
 * many slots are missing in all, of those that are not for one group only. */
static unsigned int
virDomainPCIReportFormatPromises(const virDomainPCIReport *report,
                                 virDomainPCIClass kind,
                                 virJSONValue *array)
{
    unsigned int missing = 0;
    size_t i;

    for (i = 0; i < report->npromises; i++) {
        const virDomainPCIReportPromise *promise = &report->promises[i];
        g_autoptr(virJSONValue) object = NULL;
        g_autoptr(virJSONValue) windows = NULL;

        if (promise->kind != kind)
            continue;

        object = virJSONValueNewObject();
        virJSONValueObjectAppendNumberUint(object, "asked", promise->asked);
        virJSONValueObjectAppendNumberUint(object, "missing", promise->asked - promise->free);
        if ((windows = virDomainPCIReportFormatWindows(&promise->windows)))
            virJSONValueObjectAppend(object, "windows", &windows);
        if (promise->node >= 0)
            virJSONValueObjectAppendNumberUint(object, "node", promise->node);
        virDomainPCIReportFormatString(object, "group", promise->group);
        virJSONValueArrayAppend(array, &object);
        if (!promise->group)
            missing += promise->asked - promise->free;
    }

    return missing;
}


static virJSONValue *
virDomainPCIReportFormatFree(const virDomainPCIReport *report)
{
    virJSONValue *object = virJSONValueNewObject();
    size_t i;

    for (i = 0; i < VIR_DOMAIN_PCI_CLASS_LAST; i++) {
        g_autoptr(virJSONValue) kind = virJSONValueNewObject();
        g_autoptr(virJSONValue) promises = virJSONValueNewArray();
        unsigned int missing = virDomainPCIReportFormatPromises(report, i, promises);

        if (report->known)
            virJSONValueObjectAppendNumberUint(kind, "slots", report->freeSlots[i]);
        if (report->asks[i])
            virJSONValueObjectAppendNumberUint(kind, "asked", report->asked[i]);
        if (report->known)
            virJSONValueObjectAppendNumberUint(kind, "missing", missing);
        if (virJSONValueArraySize(promises) > 0)
            virJSONValueObjectAppend(kind, "promises", &promises);
        virJSONValueObjectAppend(object, virDomainPCIClassTypeToString(i), &kind);
    }

    return object;
}


static virJSONValue *
virDomainPCIReportFormatPreferences(const virDomainPCIReport *report)
{
    virJSONValue *object = virJSONValueNewObject();
    size_t i;

    for (i = 0; i < report->preferences->len; i += 2) {
        const char *name = g_ptr_array_index(report->preferences, i);

        if (!virJSONValueObjectHasKey(object, name)) {
            virJSONValueObjectAppendString(object, name,
                                           g_ptr_array_index(report->preferences, i + 1));
        }
    }

    return object;
}


/**
 * virDomainPCIReportFormat:
 * @report: report
 *
 * The keys are described in docs/drvqemu.rst. Those that only the hypervisor
 * driver can fill in are left out if it has not.
 *
 * Returns: @report as a JSON object, to be freed by the caller
 */
virJSONValue *
virDomainPCIReportFormat(const virDomainPCIReport *report)
{
    virJSONValue *object = virJSONValueNewObject();
    g_autoptr(virJSONValue) preferences = virDomainPCIReportFormatPreferences(report);
    g_autoptr(virJSONValue) freeSlots = virDomainPCIReportFormatFree(report);
    g_autoptr(virJSONValue) controllers = virJSONValueNewArray();
    g_autoptr(virJSONValue) devices = virJSONValueNewArray();
    g_autoptr(virJSONValue) unplaced = virJSONValueNewArray();
    g_autoptr(GPtrArray) onBus = g_ptr_array_new();
    g_autoptr(GPtrArray) astray = g_ptr_array_new();
    g_autofree virDomainPCIReportOrder *order = g_new0(virDomainPCIReportOrder, 1);
    size_t i;

    order->placed = onBus;
    order->unplaced = astray;
    virDomainPCIReportArrange(report, order);

    virJSONValueObjectAppendNumberUint(object, "version", VIR_DOMAIN_PCI_REPORT_VERSION);
    virDomainPCIReportFormatString(object, "name", report->name);
    virDomainPCIReportFormatString(object, "arch", report->arch);
    virDomainPCIReportFormatString(object, "machine", report->machine);
    virJSONValueObjectAppendBoolean(object, "planned", report->planned);
    virJSONValueObjectAppend(object, "preferences", &preferences);
    virJSONValueObjectAppend(object, "free", &freeSlots);

    for (i = 0; i < VIR_DOMAIN_PCI_BUSES_MAX; i++) {
        g_autoptr(virJSONValue) controller = NULL;

        if (!order->buses[i])
            continue;
        controller = virDomainPCIReportFormatController(report, order, order->buses[i]);
        virJSONValueArrayAppend(controllers, &controller);
    }
    virJSONValueObjectAppend(object, "controllers", &controllers);

    for (i = 0; i < onBus->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(onBus, i);
        g_autoptr(virJSONValue) device = NULL;

        if (item->isController)
            continue;
        device = virDomainPCIReportFormatDevice(report, item);
        virJSONValueArrayAppend(devices, &device);
    }
    virJSONValueObjectAppend(object, "devices", &devices);

    for (i = 0; i < astray->len; i++) {
        g_autoptr(virJSONValue) device = NULL;

        device = virDomainPCIReportFormatDevice(report, g_ptr_array_index(astray, i));
        virJSONValueArrayAppend(unplaced, &device);
    }
    virJSONValueObjectAppend(object, "unplaced", &unplaced);

    return object;
}

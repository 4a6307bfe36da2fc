/*
 * qemu_pci_answer.c: what a domain would become, and what is free in it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two formats of virConnectDomainXMLToNative(). "planned-xml" is the definition
 * that virDomainDefineXML() would make, "pci-topology" is its PCI topology as
 * JSON. Nothing is defined, and nothing of the host is opened for it. Free
 * slots are those of the address set that a running guest with this definition
 * would have.
 */

#include <config.h>

#include "qemu_pci_answer.h"
#include "qemu_pci_preferences.h"
#include "qemu_domain.h"
#include "qemu_domain_address.h"
#include "domain_pci_census.h"
#include "domain_pci_controllers.h"
#include "domain_pci_groups.h"
#include "domain_pci_report.h"
#include "virerror.h"
#include "virlog.h"
#include "virstring.h"
#include "virxml.h"

#define VIR_FROM_THIS VIR_FROM_QEMU

VIR_LOG_INIT("qemu.qemu_pci_answer");

/* as virDomainDefineXML() parses */
#define PARSE_DEFINE (VIR_DOMAIN_DEF_PARSE_INACTIVE | \
                      VIR_DOMAIN_DEF_PARSE_ABI_UPDATE)

/* as a definition is parsed that is not new: no free slots are added. What is
 * different while a guest runs has nothing to do with addresses. */
#define PARSE_AS_IT_IS (VIR_DOMAIN_DEF_PARSE_INACTIVE | \
                        VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE)

static const virDomainPCIConnectFlags qemuPCIAnswerClasses[] = {
    [VIR_DOMAIN_PCI_CLASS_EXPRESS] = VIR_PCI_CONNECT_TYPE_PCIE_DEVICE,
    [VIR_DOMAIN_PCI_CLASS_CONVENTIONAL] = VIR_PCI_CONNECT_TYPE_PCI_DEVICE,
};

G_STATIC_ASSERT(G_N_ELEMENTS(qemuPCIAnswerClasses) == VIR_DOMAIN_PCI_CLASS_LAST);


/* -- planned-xml ----------------------------------------------------------- */

/* Would virDomainDefineXML() refuse @def because of another domain that has its
 * name or its uuid? Where @xml gives no uuid, the one in @def is made up and
 * says nothing. */
static int
qemuPCIAnswerCheckIdentity(virQEMUDriver *driver,
                           const virDomainDef *def,
                           xmlXPathContext *ctxt)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    virDomainObj *vm = NULL;
    int ret = 0;

    if (virXPathBoolean("boolean(./uuid)", ctxt) != 1)
        return 0;

    if ((vm = virDomainObjListFindByUUID(driver->domains, def->uuid))) {
        if (STRNEQ(vm->def->name, def->name)) {
            virUUIDFormat(vm->def->uuid, uuid);
            virReportError(VIR_ERR_OPERATION_FAILED,
                           _("domain '%1$s' is already defined with uuid %2$s"),
                           vm->def->name, uuid);
            ret = -1;
        }
    } else if ((vm = virDomainObjListFindByName(driver->domains, def->name))) {
        virUUIDFormat(vm->def->uuid, uuid);
        virReportError(VIR_ERR_OPERATION_FAILED,
                       _("domain '%1$s' already exists with uuid %2$s"),
                       def->name, uuid);
        ret = -1;
    }

    virDomainObjEndAPI(&vm);
    return ret;
}


/* The definition that virDomainDefineXML() would make of @xml, or NULL with the
 * error reported that it would report. @ctxt is of the same XML. */
static virDomainDef *
qemuPCIAnswerPlan(virQEMUDriver *driver,
                  const char *xml,
                  xmlXPathContext *ctxt)
{
    g_autoptr(virDomainDef) def = NULL;

    if (!(def = virDomainDefParseString(xml, driver->xmlopt, NULL, PARSE_DEFINE)) ||
        virXMLCheckIllegalChars("name", def->name, "\n") < 0 ||
        qemuPCIAnswerCheckIdentity(driver, def, ctxt) < 0)
        return NULL;

    return g_steal_pointer(&def);
}


static char *
qemuPCIAnswerPlannedXML(virQEMUDriver *driver,
                        const char *xml,
                        xmlXPathContext *ctxt)
{
    g_autoptr(virDomainDef) def = NULL;

    if (!(def = qemuPCIAnswerPlan(driver, xml, ctxt)))
        return NULL;

    return qemuDomainDefFormatXML(driver, NULL, def, VIR_DOMAIN_XML_INACTIVE);
}


/* -- pci-topology ---------------------------------------------------------- */

typedef struct {
    GHashTable *addresses;  /* that the XML gives */
    size_t controllers;     /* PCI controllers of the definition */
    bool added;             /* it has an address that the XML does not give */
} qemuPCIAnswerGiven;


static void *
qemuPCIAnswerKey(const virPCIDeviceAddress *addr)
{
    return GUINT_TO_POINTER(addr->bus << 8 | addr->slot << 3 | addr->function);
}


static int
qemuPCIAnswerGivenIter(virDomainDef *def G_GNUC_UNUSED,
                       virDomainDeviceDef *dev,
                       virDomainDeviceInfo *info,
                       void *opaque)
{
    qemuPCIAnswerGiven *given = opaque;

    if (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI)
        given->controllers++;

    if (virDeviceInfoPCIAddressIsPresent(info) &&
        !g_hash_table_contains(given->addresses, qemuPCIAnswerKey(&info->addr.pci)))
        given->added = true;

    return 0;
}


/* Has parsing added PCI controllers or addresses to what @report read? */
static bool
qemuPCIAnswerIsComplete(const virDomainPCIReport *report,
                        virDomainDef *def)
{
    g_autoptr(GHashTable) addresses = g_hash_table_new(g_direct_hash, g_direct_equal);
    qemuPCIAnswerGiven given = { .addresses = addresses };
    size_t controllers = 0;
    size_t i;

    for (i = 0; i < report->items->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(report->items, i);

        controllers += item->isController;
        if (item->placed)
            g_hash_table_add(addresses, qemuPCIAnswerKey(&item->addr));
    }

    ignore_value(virDomainDeviceInfoIterate(def, qemuPCIAnswerGivenIter, &given));

    return !given.added && given.controllers <= controllers;
}


/* Devices that machines have built in and no XML speaks of */
static const struct {
    bool (*isMachine)(const virDomainDef *def);
    unsigned int slot;
    unsigned int function;
    const char *name;
    bool needsACPI;
} qemuPCIAnswerChipset[] = {
    { qemuDomainIsI440FX, 0x00, 0, "host bridge", false },
    { qemuDomainIsI440FX, 0x01, 0, "ISA bridge", false },
    { qemuDomainIsI440FX, 0x01, 1, "IDE", false },
    { qemuDomainIsI440FX, 0x01, 3, "power management", true },
    { qemuDomainIsQ35, 0x00, 0, "host bridge", false },
    { qemuDomainIsQ35, 0x1f, 0, "ISA bridge", false },
    { qemuDomainIsQ35, 0x1f, 2, "SATA", false },
    { qemuDomainIsQ35, 0x1f, 3, "SMBus", false },
    { qemuDomainIsARMVirt, 0x00, 0, "host bridge", false },
    { qemuDomainIsRISCVVirt, 0x00, 0, "host bridge", false },
};


static bool
qemuPCIAnswerIsTaken(const virDomainPCIReport *report,
                     const virPCIDeviceAddress *addr)
{
    size_t i;

    for (i = 0; i < report->items->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(report->items, i);

        if (item->placed && virPCIDeviceAddressEqual(&item->addr, addr))
            return true;
    }

    return false;
}


static void
qemuPCIAnswerAddChipset(virDomainPCIReport *report,
                        const virDomainDef *def)
{
    bool acpi = def->features[VIR_DOMAIN_FEATURE_ACPI] == VIR_TRISTATE_SWITCH_ON;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(qemuPCIAnswerChipset); i++) {
        virPCIDeviceAddress addr = {
            .slot = qemuPCIAnswerChipset[i].slot,
            .function = qemuPCIAnswerChipset[i].function,
        };

        if (qemuPCIAnswerChipset[i].isMachine(def) &&
            (acpi || !qemuPCIAnswerChipset[i].needsACPI) &&
            !qemuPCIAnswerIsTaken(report, &addr))
            virDomainPCIReportAddChipset(report, &addr, qemuPCIAnswerChipset[i].name);
    }
}


/* The address set of @def as a running guest has it, in an object that has
 * nothing else. @def is consumed. */
static virDomainObj *
qemuPCIAnswerSettle(virQEMUDriver *driver,
                    virDomainDef **def)
{
    virDomainObj *vm = virDomainObjNew(driver->xmlopt);
    qemuDomainObjPrivate *priv;

    if (!vm)
        return NULL;

    vm->def = g_steal_pointer(def);
    priv = vm->privateData;

    if (!(priv->qemuCaps = virQEMUCapsCacheLookup(driver->qemuCapsCache,
                                                  vm->def->emulator)) ||
        qemuDomainAssignAddresses(vm->def, priv->qemuCaps, driver, vm, false) < 0)
        virDomainObjEndAPI(&vm);

    return vm;
}


/* The controllers of the buses, in the report and in the definition */
typedef struct {
    virDomainPCIReportItem *buses[VIR_DOMAIN_PCI_BUSES_MAX];
    virDomainControllerDef *controllers[VIR_DOMAIN_PCI_BUSES_MAX];
} qemuPCIAnswerBuses;


static void
qemuPCIAnswerCollectBuses(qemuPCIAnswerBuses *buses,
                          const virDomainPCIReport *report,
                          const virDomainDef *def)
{
    size_t i;

    for (i = 0; i < report->items->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(report->items, i);

        if (item->isController && item->indexed &&
            item->idx < VIR_DOMAIN_PCI_BUSES_MAX && !buses->buses[item->idx])
            buses->buses[item->idx] = item;
    }

    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];

        if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI &&
            cont->idx < VIR_DOMAIN_PCI_BUSES_MAX)
            buses->controllers[cont->idx] = cont;
    }
}


/* Says of each bus what the address set knows of it, and of each free slot what
 * the search for slots says. */
static int
qemuPCIAnswerFillBuses(virDomainPCIReport *report,
                       const qemuPCIAnswerBuses *buses,
                       const virDomainDef *def,
                       virDomainPCIAddressSet *addrs)
{
    g_autofree virDomainPCIFreeSlots *found = g_new0(virDomainPCIFreeSlots,
                                                     VIR_DOMAIN_PCI_CLASS_LAST);
    const qemuPCIPolicy *policy = qemuPCIPolicyGet(def);
    size_t kind;
    size_t i;

    for (i = 0; i < MIN(addrs->nbuses, VIR_DOMAIN_PCI_BUSES_MAX); i++) {
        virDomainPCIReportItem *item = buses->buses[i];
        virDomainControllerDef *host = buses->controllers[virDomainPCITopologyGetHost(addrs, i)];

        if (!item || !buses->controllers[i])
            continue;

        item->bus = addrs->buses[i];
        item->freeSlots = virDomainPCICensusEmpty(&addrs->buses[i]);
        item->unreachable = !virDomainPCITopologyReachesRoot(addrs, i, VIR_DOMAIN_PCI_ENDPOINT);
        item->hotplug = !item->unreachable &&
            addrs->buses[i].flags & VIR_PCI_CONNECT_HOTPLUGGABLE &&
            addrs->buses[i].flags & VIR_PCI_CONNECT_TYPES_ENDPOINT;
        item->guestNode = host ? host->opts.pciopts.numaNode : -1;
        g_free(item->group);
        item->group = g_strdup(virDomainPCIGroupsGetBus(addrs, i));
        item->told = item->hotplug ?
            qemuPCIPolicyTells(policy, def, buses->controllers[i], host) : "none";
    }

    for (kind = 0; kind < VIR_DOMAIN_PCI_CLASS_LAST; kind++) {
        if (virDomainPCICensusTake(addrs, qemuPCIAnswerClasses[kind], &found[kind]) < 0)
            return -1;
        report->freeSlots[kind] = found[kind].count;
    }

    /* what is there, and hotpluggable, and yet not given to anybody */
    for (i = 0; i < VIR_DOMAIN_PCI_BUSES_MAX; i++) {
        virDomainPCIReportItem *item = buses->buses[i];
        uint32_t counted = 0;

        for (kind = 0; kind < VIR_DOMAIN_PCI_CLASS_LAST; kind++)
            counted |= found[kind].slots[i];
        if (item && item->hotplug && item->freeSlots && !counted && !item->group)
            item->isolated = true;
    }

    return 0;
}


/* Says which promises are kept: those that define would find kept */
static int
qemuPCIAnswerFillPromises(virDomainPCIReport *report,
                          virDomainObj *vm)
{
    qemuDomainObjPrivate *priv = vm->privateData;
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    qemuPCIPromise promise;
    size_t i;
    int rc;

    if (!(addrs = qemuDomainPCIAddressSetCreate(vm->def, priv->qemuCaps,
                                                virDomainPCIControllersCountBuses(vm->def),
                                                NULL, false)) ||
        qemuDomainValidateDevicePCISlotsChipsets(vm->def, addrs) < 0)
        return -1;

    qemuPCIPromiseInit(&promise, vm->def->preferences, qemuPCIPolicyGet(vm->def));
    if ((rc = qemuPCIPromiseReserve(&promise, addrs)) == 0) {
        report->npromises = promise.nitems;
        report->promises = g_new0(virDomainPCIReportPromise, promise.nitems);
    }

    for (i = 0; i < report->npromises; i++) {
        report->promises[i] = (virDomainPCIReportPromise) {
            .kind = promise.items[i].kind == QEMU_PCI_SLOTS_EXPRESS ?
                VIR_DOMAIN_PCI_CLASS_EXPRESS : VIR_DOMAIN_PCI_CLASS_CONVENTIONAL,
            .asked = promise.items[i].asked,
            .free = promise.items[i].possible,
            .windows = promise.items[i].windows,
            .node = promise.items[i].node,
            .group = promise.items[i].group,
        };
    }

    qemuPCIPromiseClear(&promise);
    return rc;
}


static int
qemuPCIAnswerFill(virDomainPCIReport *report,
                  virDomainObj *vm)
{
    g_autofree qemuPCIAnswerBuses *buses = g_new0(qemuPCIAnswerBuses, 1);
    qemuDomainObjPrivate *priv = vm->privateData;
    size_t i;

    qemuPCIAnswerCollectBuses(buses, report, vm->def);

    if (qemuPCIAnswerFillPromises(report, vm) < 0 ||
        qemuPCIAnswerFillBuses(report, buses, vm->def, priv->pciaddrs) < 0)
        return -1;

    for (i = 0; i < report->items->len; i++) {
        virDomainPCIReportItem *item = g_ptr_array_index(report->items, i);
        virDomainPCIReportItem *bus;

        if (item->isController || !item->placed || item->addr.domain != 0 ||
            item->addr.bus >= VIR_DOMAIN_PCI_BUSES_MAX ||
            !(bus = buses->buses[item->addr.bus]))
            continue;

        item->hotplug = bus->hotplug;
        item->told = bus->told;
        item->guestNode = bus->guestNode;
    }

    if (buses->buses[0])
        qemuPCIAnswerAddChipset(report, vm->def);

    report->known = true;
    return 0;
}


/* Replaces @report and @def by those of the definition that virDomainDefineXML()
 * would make. */
static int
qemuPCIAnswerReplan(virQEMUDriver *driver,
                    const char *xml,
                    xmlXPathContext *ctxt,
                    virDomainPCIReport **report,
                    virDomainDef **def)
{
    g_autoptr(virDomainPCIReport) planned = NULL;
    g_autoptr(xmlDoc) doc = NULL;
    g_autofree char *text = NULL;

    g_clear_pointer(def, virDomainDefFree);

    if (!(*def = qemuPCIAnswerPlan(driver, xml, ctxt)) ||
        (!*report && !(*report = virDomainPCIReportNew(ctxt->node))) ||
        !(text = qemuDomainDefFormatXML(driver, NULL, *def, VIR_DOMAIN_XML_INACTIVE)) ||
        !(doc = virXMLParseStringCtxt(text, _("(domain_definition)"), NULL)) ||
        !(planned = virDomainPCIReportNew(xmlDocGetRootElement(doc))))
        return -1;

    planned->planned = true;
    virDomainPCIReportMarkAdded(planned, *report);
    virDomainPCIReportFree(*report);
    *report = g_steal_pointer(&planned);

    return 0;
}


static char *
qemuPCIAnswerTopology(virQEMUDriver *driver,
                      const char *xml,
                      xmlXPathContext *ctxt)
{
    g_autoptr(virDomainPCIReport) report = NULL;
    g_autoptr(virDomainDef) def = NULL;
    g_autoptr(virJSONValue) json = NULL;
    virDomainObj *vm = NULL;
    char *ret = NULL;

    if ((def = virDomainDefParseNode(ctxt, driver->xmlopt, NULL, PARSE_AS_IT_IS)))
        report = virDomainPCIReportNew(ctxt->node);

    if (!report || !qemuPCIAnswerIsComplete(report, def)) {
        /* what is wrong, the next parse says as virDomainDefineXML() would */
        virResetLastError();
        if (qemuPCIAnswerReplan(driver, xml, ctxt, &report, &def) < 0)
            return NULL;
    }

    if ((vm = qemuPCIAnswerSettle(driver, &def)) &&
        qemuPCIAnswerFill(report, vm) == 0) {
        json = virDomainPCIReportFormat(report);
        ret = virJSONValueToString(json, true);
    }

    virDomainObjEndAPI(&vm);
    return ret;
}


/* -- the formats ------------------------------------------------------------ */

static const struct {
    const char *format;
    char *(*answer)(virQEMUDriver *driver,
                    const char *xml,
                    xmlXPathContext *ctxt);
} qemuPCIAnswers[] = {
    { "planned-xml", qemuPCIAnswerPlannedXML },
    { "pci-topology", qemuPCIAnswerTopology },
};


/**
 * qemuPCIAnswerIsFormat:
 * @format: format that a caller of virConnectDomainXMLToNative() asks for
 *
 * Returns: true if qemuPCIAnswer() knows it
 */
bool
qemuPCIAnswerIsFormat(const char *format)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(qemuPCIAnswers); i++) {
        if (STREQ(format, qemuPCIAnswers[i].format))
            return true;
    }

    return false;
}


/**
 * qemuPCIAnswer:
 * @driver: QEMU driver
 * @format: "planned-xml" or "pci-topology"
 * @xml: domain XML
 *
 * With "planned-xml" @xml is completed as virDomainDefineXML() would do it, and
 * refused as virDomainDefineXML() would refuse it. With "pci-topology" that is
 * only done if devices of @xml have no address; other XML, inactive or of a
 * running guest, is taken as it is.
 *
 * Returns: the domain XML that virDomainGetXMLDesc() with
 *          VIR_DOMAIN_XML_INACTIVE would give, or the topology as JSON, to be
 *          freed by the caller; NULL with an error reported otherwise:
 *          VIR_ERR_XML_ERROR, VIR_ERR_CONFIG_UNSUPPORTED or what else
 *          virDomainDefineXML() reports
 */
char *
qemuPCIAnswer(virQEMUDriver *driver,
              const char *format,
              const char *xml)
{
    g_autoptr(xmlDoc) doc = NULL;
    g_autoptr(xmlXPathContext) ctxt = NULL;
    size_t i;

    if (!(doc = virXMLParse(NULL, xml, _("(domain_definition)"), "domain",
                            &ctxt, NULL, false)))
        return NULL;

    for (i = 0; i < G_N_ELEMENTS(qemuPCIAnswers); i++) {
        if (STREQ(format, qemuPCIAnswers[i].format))
            return qemuPCIAnswers[i].answer(driver, xml, ctxt);
    }

    virReportError(VIR_ERR_INVALID_ARG, _("unsupported config type %1$s"), format);
    return NULL;
}

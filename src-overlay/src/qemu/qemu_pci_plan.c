/*
 * qemu_pci_plan.c: which PCI controllers a definition is to get
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt gives addresses to all PCI controllers first and then to the other
 * devices. A dry run does exactly that without writing an address, and adds
 * the controllers that are missing. The slots that these occupy themselves are
 * only missed on the next run, so there are as many as it takes until one adds
 * nothing. All of this happens on a draft that shares everything with the
 * definition but its list of controllers; the definition gets that list when
 * the plan stands.
 */

#include <config.h>

#include "qemu_pci_plan.h"
#include "qemu_pci_nodes.h"
#include "qemu_pci_preferences.h"
#include "qemu_pci_request.h"
#include "qemu_domain_address.h"
#include "domain_pci_controllers.h"
#include "domain_pci_functions.h"
#include "domain_pci_groups.h"
#include "domain_pci_numbers.h"
#include "domain_pci_padding.h"
#include "viralloc.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_QEMU

/* What is the same for all runs */
typedef struct {
    virQEMUDriver *driver;
    virQEMUCaps *qemuCaps;
    const qemuPCIPolicy *policy;
    size_t nbusesGiven;     /* those of the definition */
    virBitmap *given;       /* indexes of its PCI controllers */
    bool sparePort;         /* one is kept; the first run decides it */
    bool noGrowthSlot;      /* devices would have to share a slot for it */
    bool grown;             /* a bridge was added for it */
    bool joined;            /* in the last run devices shared a slot */
    qemuPCIPromise promise;
} qemuPCIPlanning;


/* Keeps one slot free for @type of devices */
static int
qemuPCIPlanReserveOneFree(virDomainPCIAddressSet *addrs,
                          virDomainPCIConnectFlags type)
{
    virDomainPCISlotRequest req;

    virDomainPCISlotRequestInitFree(&req, type);
    req.optional = true;
    return virDomainPCIPlanReserveFree(addrs, &req);
}


/* Keeps free what is to be free besides the slots of the devices and those
 * that are promised */
static int
qemuPCIPlanReserveFree(qemuPCIPlanning *planning,
                       virDomainPCIAddressSet *addrs,
                       bool growthSlot)
{
    size_t nbuses = addrs->nbuses;

    /* a promised slot is as good for the next bridge */
    if (growthSlot && !planning->noGrowthSlot &&
        !qemuPCIPromiseIsPossible(&planning->promise, QEMU_PCI_SLOTS_CONVENTIONAL) &&
        qemuPCIPlanReserveOneFree(addrs, VIR_PCI_CONNECT_TYPE_PCI_DEVICE) < 0)
        return -1;

    /* a PHB takes no slot itself */
    planning->grown |= addrs->nbuses > nbuses &&
        !virDomainPCIModelIsRoot(addrs->buses[nbuses].model);

    if (planning->sparePort &&
        qemuPCIPlanReserveOneFree(addrs, VIR_PCI_CONNECT_TYPE_PCIE_DEVICE) < 0)
        return -1;

    /* a bridge with windows for promised slots that finds no room would be
     * taken for one that devices need, and have another one added beside it */
    return planning->promise.nitems == 0 ? virDomainPCIPlanReserveDisplaced(addrs) : 0;
}


/* Adds a controller to @draft for each bus of @addrs that has none. They are
 * spare, there for their free slots alone, from bus @firstSpare on. */
static int
qemuPCIPlanAddControllers(qemuPCIPlanning *planning,
                          virDomainDef *draft,
                          virDomainPCIAddressSet *addrs,
                          size_t firstSpare)
{
    g_autoptr(virBitmap) present = virDomainPCIControllersIndexes(draft);
    size_t i;

    for (i = 1; i < addrs->nbuses; i++) {
        virDomainDeviceDef dev = { .type = VIR_DOMAIN_DEVICE_CONTROLLER };

        if (virBitmapIsBitSet(present, i))
            continue;

        if (!(dev.data.controller =
              virDomainDefAddController(draft, VIR_DOMAIN_CONTROLLER_TYPE_PCI,
                                        i, addrs->buses[i].model)))
            return -1;

        if (virDomainPCIModelIsHostBridge(addrs->buses[i].model))
            dev.data.controller->opts.pciopts.numaNode = virDomainPCITopologyGetNode(addrs, i);

        dev.data.controller->opts.pciopts.group = virDomainPCIGroupsGetBus(addrs, i);
        qemuPCIPromiseSetWindows(&planning->promise, addrs, draft, dev.data.controller);
        qemuDomainFillPCIControllerFlags(draft, &dev, planning->qemuCaps, planning->driver);
        virDomainPCIPlanNote(addrs, i, i >= firstSpare);
    }

    return 0;
}


/* One dry run. Returns 1 if it added nothing and left nothing open, 0 if there
 * has to be another, -1 with an error reported. */
static int
qemuPCIPlanRun(qemuPCIPlanning *planning,
               virDomainPCIPlan *plan,
               virDomainDef *draft,
               bool first)
{
    g_autoptr(virDomainPCIAddressSet) addrs = NULL;
    size_t nbuses = virDomainPCIControllersCountBuses(draft);
    bool growthSlot;
    size_t firstSpare;

    if (!(addrs = qemuDomainPCIAddressSetCreate(draft, planning->qemuCaps, nbuses, plan, true)) ||
        qemuDomainValidateDevicePCISlotsChipsets(draft, addrs) < 0)
        return -1;

    growthSlot = qemuPCIPolicyHasSpareSlot(planning->policy, addrs);
    planning->grown &= !first;

    if (qemuDomainAssignDevicePCISlots(draft, planning->qemuCaps, addrs) < 0 ||
        virDomainDeviceInfoIterate(draft, qemuDomainAssignPCIAddressExtension, addrs) < 0)
        return -1;

    planning->joined = virDomainPCIFunctionsAreJoined(addrs);

    /* later, controllers may be there for the promise alone */
    if (first) {
        planning->sparePort = qemuPCIPolicyHasSparePort(planning->policy, draft->preferences,
                                                        (int)planning->nbusesGiven - 1,
                                                        addrs->nbuses);
    }

    if (qemuPCIPlanReserveFree(planning, addrs, growthSlot) < 0)
        return -1;

    /* what has just been added for devices may have slots to spare: the next
     * run knows, and adds what is missing of the promises */
    firstSpare = addrs->nbuses;
    if ((firstSpare == nbuses && qemuPCIPromiseReserve(&planning->promise, addrs) < 0) ||
        qemuPCIPlanAddControllers(planning, draft, addrs, firstSpare) < 0)
        return -1;

    if (addrs->nbuses != nbuses || !virDomainPCIPlanIsSettled(addrs))
        return 0;

    return virDomainPCINumbersChoose(addrs, draft, planning->given) < 0 ? -1 : 1;
}


/* Drops what was added to @draft */
static void
qemuPCIPlanFreeDraft(qemuPCIPlanning *planning,
                     virDomainDef *draft)
{
    size_t i;

    for (i = 0; i < draft->ncontrollers; i++) {
        virDomainControllerDef *cont = draft->controllers[i];

        if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI &&
            !virBitmapIsBitSet(planning->given, cont->idx))
            virDomainControllerDefFree(cont);
    }

    g_free(draft->controllers);
}


/* Plans with one way of padding, and changes @def if it succeeds */
static int
qemuPCIPlanDraft(qemuPCIPlanning *planning,
                 virDomainPCIPlan *plan,
                 virDomainDef *def,
                 virDomainPCIPadding padding)
{
    g_autofree virDomainDef *draft = g_new0(virDomainDef, 1);
    size_t runs;
    int rc = 0;

    *draft = *def;
    draft->controllers = g_new0(virDomainControllerDef *, def->ncontrollers);
    memcpy(draft->controllers, def->controllers,
           def->ncontrollers * sizeof(def->controllers[0]));

    virDomainPCIPlanReset(plan, padding, draft);

    /* each run adds a controller, or finds a place for one */
    for (runs = 0; rc == 0 && runs <= 4 * VIR_DOMAIN_PCI_BUSES_MAX; runs++)
        rc = qemuPCIPlanRun(planning, plan, draft, runs == 0);

    if (rc == 0) {
        virReportError(VIR_ERR_INTERNAL_ERROR, "%s",
                       _("planning of PCI controllers does not come to an end"));
        rc = -1;
    }

    if (rc > 0)
        rc = qemuPCIPromiseCheck(&planning->promise, draft);

    plan->def = def;

    /* no device shares a slot for the sake of a bridge that none needs */
    if (rc == 0 && planning->joined && planning->grown && !planning->noGrowthSlot) {
        qemuPCIPlanFreeDraft(planning, draft);
        planning->noGrowthSlot = true;
        return qemuPCIPlanDraft(planning, plan, def, padding);
    }

    if (rc < 0) {
        qemuPCIPlanFreeDraft(planning, draft);
        return -1;
    }

    g_free(def->controllers);
    def->controllers = draft->controllers;
    def->ncontrollers = draft->ncontrollers;
    return 0;
}


/* libvirt refuses such an index as well, but only when addresses have been
 * given, and all that is kept here by bus ends with the last one */
static int
qemuPCIPlanCheckIndexes(size_t nbuses)
{
    if (nbuses <= VIR_DOMAIN_PCI_BUSES_MAX)
        return 0;

    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("PCI controller index %1$zu too high, maximum is %2$d"),
                   nbuses - 1, VIR_DOMAIN_PCI_BUSES_MAX - 1);
    return -1;
}


/**
 * qemuPCIPlanControllers:
 * @def: domain definition with the connect flags of all devices
 * @qemuCaps: capabilities of the QEMU binary
 * @driver: QEMU driver
 * @newDomain: it is a new definition, so that what it asks for is checked, and
 *             promised slots are kept free: what is restored, migrated or
 *             loaded has the controllers that the guest knows
 *
 * Adds the PCI controllers to @def that its devices and preferences need. If
 * that is not possible, @def stays as it is.
 *
 * Returns: the plan with which addresses are to be given, to be freed by the
 *          caller; NULL with an error reported
 */
virDomainPCIPlan *
qemuPCIPlanControllers(virDomainDef *def,
                       virQEMUCaps *qemuCaps,
                       virQEMUDriver *driver,
                       bool newDomain)
{
    g_autoptr(virDomainPCIPlan) plan = virDomainPCIPlanNew();
    g_autoptr(virBitmap) given = virDomainPCIControllersIndexes(def);
    g_autoptr(virError) error = NULL;
    virDomainPCIPadding padding;
    bool nodes;
    int rc;
    qemuPCIPlanning planning = {
        .driver = driver,
        .qemuCaps = qemuCaps,
        .policy = qemuPCIPolicyGet(def),
        .nbusesGiven = virDomainPCIControllersCountBuses(def),
        .given = given,
    };

    if (qemuPCIPlanCheckIndexes(planning.nbusesGiven) < 0)
        return NULL;

    if (newDomain &&
        (qemuPCIPreferencesCheck(def, planning.policy, qemuCaps) < 0 ||
         qemuPCINodesPlaceHostdevs(def) < 0 ||
         qemuPCIRequestCheckAll(def, qemuCaps) < 0))
        return NULL;

    plan->nbusesGiven = planning.nbusesGiven;
    qemuPCIPolicyFillRules(planning.policy, qemuCaps, &plan->rules);
    nodes = qemuPCINodesAreAsked(def);

    for (padding = 0; planning.nbusesGiven > 0 && padding < VIR_DOMAIN_PCI_PADDING_LAST; padding++) {
        qemuPCIPromiseInit(&planning.promise, newDomain ? def->preferences : NULL,
                           planning.policy);
        planning.promise.noIO |= nodes;
        plan->thrifty = planning.promise.windows || nodes;
        rc = qemuPCIPlanDraft(&planning, plan, def, padding);
        qemuPCIPromiseClear(&planning.promise);

        if (rc == 0) {
            virResetLastError();
            break;
        }

        /* what was wrong with the first way is what the user should know */
        if (!error)
            error = virSaveLastError();

        if (!virDomainPCIPaddingIsNeeded(plan, planning.nbusesGiven) ||
            padding + 1 == VIR_DOMAIN_PCI_PADDING_LAST) {
            virSetError(error);
            return NULL;
        }
    }

    return g_steal_pointer(&plan);
}


/**
 * qemuPCIPlanCheck:
 * @def: new domain definition in which all devices have their addresses
 * @addrs: its address set
 *
 * No new guest gets controllers that it could not be started with, or places
 * that contradict the hints beside them.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCIPlanCheck(virDomainDef *def,
                 virDomainPCIAddressSet *addrs)
{
    if (virDomainPCIControllersCheck(def) < 0 ||
        virDomainPCINumbersCheck(addrs, def) < 0)
        return -1;

    return qemuPCIRequestCheckAllPlaces(def, addrs);
}

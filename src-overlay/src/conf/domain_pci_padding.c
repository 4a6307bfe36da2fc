/*
 * domain_pci_padding.c: buses for the addresses that a definition came with
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An address may be on a bus for which no controller is listed. Then that one
 * and all before it have to be added, whatever is on them.
 */

#include <config.h>

#include "domain_pci_padding.h"
#include "domain_pci_count.h"
#include "domain_pci_topology.h"
#include "viralloc.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN


/* The implicit IDE and USB controllers of PIIX3 are written down with functions
 * of slot 1, which other machines than i440fx do not reserve for them. */
static bool
virDomainPCIPaddingIsImplicit(const virDomainDeviceDef *dev,
                              const virDomainDeviceInfo *info)
{
    return dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        (dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_IDE ||
         dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_USB) &&
        dev->data.controller->idx == 0 &&
        info->addr.pci.bus == 0 && info->addr.pci.slot == 1;
}


static int
virDomainPCIPaddingCollectIter(virDomainDef *def G_GNUC_UNUSED,
                               virDomainDeviceDef *dev,
                               virDomainDeviceInfo *info,
                               void *opaque)
{
    virDomainPCIPlan *plan = opaque;
    virDomainPCIWritten written = {
        .addr = info->addr.pci,
        .flags = info->pciConnectFlags ? info->pciConnectFlags & ~VIR_PCI_CONNECT_HOTPLUGGABLE :
                                         VIR_PCI_CONNECT_TYPE_PCI_DEVICE,
        .info = info,
    };

    /* the info of a hostdev that belongs to an interface comes with that */
    if (!virDeviceInfoPCIAddressIsPresent(info) || info->addr.pci.domain != 0 ||
        (dev->type == VIR_DOMAIN_DEVICE_HOSTDEV && dev->data.hostdev->parentnet) ||
        virDomainPCIPaddingIsImplicit(dev, info))
        return 0;

    VIR_APPEND_ELEMENT(plan->written, plan->nwritten, written);
    return 0;
}


static int
virDomainPCIPaddingCompare(const void *a,
                           const void *b,
                           void *opaque G_GNUC_UNUSED)
{
    return virDomainPCIAddressCompare(&((const virDomainPCIWritten *)a)->addr,
                                      &((const virDomainPCIWritten *)b)->addr);
}


/**
 * virDomainPCIPaddingCollect:
 * @plan: a plan
 * @def: definition whose devices are placed
 *
 * Learns all addresses that are given in @def.
 */
void
virDomainPCIPaddingCollect(virDomainPCIPlan *plan,
                           virDomainDef *def)
{
    g_clear_pointer(&plan->written, g_free);
    plan->nwritten = 0;
    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIPaddingCollectIter, plan));

    if (plan->padding != VIR_DOMAIN_PCI_PADDING_BY_DEVICE && plan->nwritten > 1) {
        g_qsort_with_data(plan->written, plan->nwritten, sizeof(plan->written[0]),
                          virDomainPCIPaddingCompare, NULL);
    }
}


/* Is @model the one that the user asks for beside the address? */
static bool
virDomainPCIPaddingHonours(const virDomainPCIWritten *written,
                           virDomainControllerModelPCI model)
{
    const virDomainPCIHints *hints = &written->info->pciHints;

    return !hints->hasConnection || (virDomainControllerModelPCI)hints->connection == model;
}


/* Can a controller of @model provide bus @idx with all addresses on it? */
static bool
virDomainPCIPaddingTakesWritten(const virDomainPCIPlan *plan,
                                size_t idx,
                                virDomainControllerModelPCI model)
{
    virDomainPCIAddressBus bus = { 0 };
    size_t i;

    if (virDomainPCIAddressBusSetModel(&bus, model, true) < 0)
        return false;

    for (i = 0; i < plan->nwritten; i++) {
        const virDomainPCIWritten *written = &plan->written[i];

        if (written->addr.bus == idx &&
            (!virDomainPCIBusHasSlot(&bus, &written->addr, written->flags, true) ||
             !virDomainPCIPaddingHonours(written, model)))
            return false;
    }

    return true;
}


/* Is there a place for one more controller of @model? */
static bool
virDomainPCIPaddingCanHold(virDomainPCIAddressSet *addrs,
                           virDomainControllerModelPCI model)
{
    virDomainPCISlotRequest anywhere = { .node = -1, .controller = VIR_DOMAIN_PCI_ENDPOINT };

    if (virDomainPCIModelIsRoot(model))
        return virDomainPCICountModel(addrs, model) < addrs->plan->rules.rootsMax;

    return virDomainPCITopologyCanHold(addrs, virDomainPCIControllerModelToConnectType(model),
                                       &anywhere, VIR_DOMAIN_PCI_DISPLACE_NONE);
}


/* A dmi-to-pci-bridge is added for devices without an address whether or not
 * the hypervisor has it; only as @rootBridge it is sure to be there. */
static bool
virDomainPCIPaddingMayLack(const virDomainPCIGrowthRules *rules,
                           virDomainControllerModelPCI model)
{
    return model == VIR_DOMAIN_CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE &&
        model != rules->rootBridge;
}


/* Could controllers be added that lead to a place for one of @model? */
static bool
virDomainPCIPaddingCanLeadTo(virDomainPCIAddressSet *addrs,
                             virDomainControllerModelPCI model)
{
    virDomainPCISlotRequest req;
    virDomainPCIChain chain;

    virDomainPCISlotRequestInitController(&req, model, 0);
    req.controller = VIR_DOMAIN_PCI_ENDPOINT;

    return req.flags && virDomainPCIGrowthPlanSlot(addrs, &req, &chain) &&
        !virDomainPCIPaddingMayLack(&addrs->plan->rules, chain.models[0]);
}


/* The model for a bus that no controller in the definition provides. What may
 * be added is tried from the most specific model to the @filler, which would
 * use up the root bus; a model that no bus can hold so far will do as long as
 * it takes the addresses that are written on the bus. */
static int
virDomainPCIPaddingModelForBus(virDomainPCIAddressSet *addrs,
                               size_t idx,
                               virDomainControllerModelPCI filler)
{
    const virDomainPCIGrowthRules *rules = &addrs->plan->rules;
    int unheld = -1;
    size_t i;

    for (i = 0; i <= rules->nmodels + 1; i++) {
        virDomainControllerModelPCI model = i < rules->nmodels ? rules->models[i] :
            i == rules->nmodels ? filler : rules->rootBridge;

        if ((i < rules->nmodels && model == filler) ||
            model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT ||
            virDomainPCIPaddingMayLack(rules, model) ||
            !virDomainPCIPaddingTakesWritten(addrs->plan, idx, model))
            continue;

        if (virDomainPCIPaddingCanHold(addrs, model))
            return model;

        if (unheld < 0 && virDomainPCIPaddingCanLeadTo(addrs, model))
            unheld = model;
    }

    return unheld;
}


/**
 * virDomainPCIPaddingFillGaps:
 * @addrs: address set
 * @filler: model of PCI controllers
 *
 * Gives buses for which there is no controller the model @filler, and on a dry
 * run leaves out those on which it does not take what is written.
 *
 * Returns: 0 on success, -1 with VIR_ERR_INTERNAL_ERROR reported
 */
int
virDomainPCIPaddingFillGaps(virDomainPCIAddressSet *addrs,
                            virDomainControllerModelPCI filler)
{
    size_t i;

    for (i = 1; i < addrs->nbuses; i++) {
        if (addrs->buses[i].flags ||
            (addrs->dryRun && !virDomainPCIPaddingTakesWritten(addrs->plan, i, filler)))
            continue;

        if (virDomainPCIAddressBusSetModel(&addrs->buses[i], filler, true) < 0)
            return -1;
    }

    return 0;
}


/* Gives the buses that are left a model that does, if there is one */
static int
virDomainPCIPaddingFillOtherGaps(virDomainPCIAddressSet *addrs,
                                 virDomainControllerModelPCI filler)
{
    size_t i;

    for (i = 1; i < addrs->nbuses; i++) {
        int model;

        if (addrs->buses[i].flags)
            continue;

        if ((model = virDomainPCIPaddingModelForBus(addrs, i, filler)) < 0)
            model = filler;

        if (virDomainPCITopologySetModel(addrs, i, model) < 0)
            return -1;
    }

    return 0;
}


static int
virDomainPCIPaddingRefuse(virDomainPCIAddressSet *addrs,
                          const virDomainPCIWritten *written)
{
    g_autofree char *addr = virPCIDeviceAddressAsString(&written->addr);
    g_autofree char *name = virDomainPCIDeviceNameByInfo(addrs->plan->def, written->info);

    virReportError(VIR_ERR_XML_ERROR,
                   _("Invalid PCI address %1$s. Only PCI buses up to %2$zu are available, and no PCI controllers can be added that provide the one of %3$s"),
                   addr, addrs->nbuses - 1, name);
    return -1;
}


/* Each controller of @chain goes into the first slot of the one before it. Has
 * the user written an address there? */
static bool
virDomainPCIPaddingChainIsFree(const virDomainPCIAddressSet *addrs,
                               const virDomainPCIChain *chain)
{
    size_t i;
    size_t j;

    for (i = 0; i + 1 < chain->nlinks; i++) {
        virDomainPCIAddressBus bus = { 0 };

        if (virDomainPCIAddressBusSetModel(&bus, chain->models[i], true) < 0)
            return false;

        for (j = 0; j < addrs->plan->nwritten; j++) {
            const virPCIDeviceAddress *addr = &addrs->plan->written[j].addr;

            if (addr->bus == addrs->nbuses + i && addr->slot == bus.minSlot)
                return false;
        }
    }

    return true;
}


/* Are the controllers of @chain those that the user asks for beside the
 * addresses on their buses? */
static bool
virDomainPCIPaddingChainIsAsked(const virDomainPCIAddressSet *addrs,
                                const virDomainPCIChain *chain)
{
    size_t i;

    for (i = 0; i < addrs->plan->nwritten; i++) {
        const virDomainPCIWritten *written = &addrs->plan->written[i];

        if (written->addr.bus >= addrs->nbuses &&
            written->addr.bus < addrs->nbuses + chain->nmodels &&
            !virDomainPCIPaddingHonours(written, chain->models[written->addr.bus - addrs->nbuses]))
            return false;
    }

    return true;
}


/* Adds controllers until the bus of @written is there */
static int
virDomainPCIPaddingReach(virDomainPCIAddressSet *addrs,
                         const virDomainPCIWritten *written,
                         virDomainControllerModelPCI filler)
{
    virDomainPCIChain chain = { 0 };
    int model;

    if (addrs->plan->padding != VIR_DOMAIN_PCI_PADDING_BY_BUS) {
        if (!virDomainPCIGrowthPlanBus(addrs, &written->addr, written->flags, &chain) ||
            !virDomainPCIPaddingChainIsAsked(addrs, &chain) ||
            !virDomainPCIPaddingChainIsFree(addrs, &chain))
            return virDomainPCIPaddingRefuse(addrs, written);

        return virDomainPCIGrowthAdd(addrs, &chain, true);
    }

    while (addrs->nbuses <= written->addr.bus) {
        if (addrs->nbuses >= VIR_DOMAIN_PCI_BUSES_MAX ||
            (model = virDomainPCIPaddingModelForBus(addrs, addrs->nbuses, filler)) < 0)
            return virDomainPCIPaddingRefuse(addrs, written);

        chain.models[0] = model;
        chain.nmodels = 1;
        chain.nlinks = 0;
        if (virDomainPCIGrowthAdd(addrs, &chain, true) < 0)
            return -1;
    }

    return 0;
}


/**
 * virDomainPCIPaddingAdd:
 * @addrs: address set, on a dry run, with the places of controllers that have
 *         some
 * @filler: model for buses between those with addresses
 *
 * Adds the buses of all addresses that came with the definition, and keeps
 * their slots.
 *
 * Returns: 0 on success, -1 with an error reported: VIR_ERR_XML_ERROR if an
 *          address cannot be had
 */
int
virDomainPCIPaddingAdd(virDomainPCIAddressSet *addrs,
                       virDomainControllerModelPCI filler)
{
    const virDomainPCIPlan *plan = addrs->plan;
    size_t i;

    for (i = 0; i < plan->nwritten; i++)
        virDomainPCITopologyExpect(addrs, &plan->written[i].addr);

    if (virDomainPCIPaddingFillOtherGaps(addrs, filler) < 0)
        return -1;

    for (i = 0; i < plan->nwritten; i++) {
        if (plan->written[i].addr.bus >= addrs->nbuses &&
            virDomainPCIPaddingReach(addrs, &plan->written[i], filler) < 0)
            return -1;
    }

    return 0;
}


/**
 * virDomainPCIPaddingIsNeeded:
 * @plan: a plan after a dry run
 * @nbuses: number of buses for which the definition lists controllers
 *
 * Returns: true if there are addresses on other buses, so that another padding
 *          may lead to another result
 */
bool
virDomainPCIPaddingIsNeeded(const virDomainPCIPlan *plan,
                            size_t nbuses)
{
    size_t i;

    for (i = 0; i < plan->nwritten; i++) {
        if (plan->written[i].addr.bus >= nbuses)
            return true;
    }

    return false;
}

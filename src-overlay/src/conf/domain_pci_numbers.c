/*
 * domain_pci_numbers.c: bus numbers of expander buses
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Expander buses share the 256 bus numbers of the root. The firmware numbers
 * what is below each of them upwards from the number that is chosen for it, and
 * what is below the root from 0 (docs/pci_expander_bridge.txt of QEMU). If one
 * range runs into the next, SeaBIOS does not come to an end, and OVMF loses
 * devices.
 */

#include <config.h>

#include "domain_pci_numbers.h"
#include "domain_pci_growth.h"
#include "domain_pci_topology_index.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN

/* What is kept below an expander bus that libvirt adds, besides what is there:
 * its number cannot change when more is added */
#define NUMBERS_SPARE 8


/**
 * virDomainPCINumbersCount:
 * @addrs: address set
 * @host: bus of a host bridge
 *
 * Returns: how many bus numbers it takes: one for itself, one for each
 *          controller below it that has its place, and one for the bridge that
 *          a pci-expander-bus has inside
 */
int
virDomainPCINumbersCount(virDomainPCIAddressSet *addrs,
                         size_t host)
{
    int count = addrs->buses[host].model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS;
    size_t i;

    for (i = 0; i < addrs->nbuses; i++)
        count += virDomainPCITopologyGetHost(addrs, i) == host;

    return count;
}


/**
 * virDomainPCINumbersNeeded:
 * @addrs: address set in which all PCI controllers have their places
 * @host: bus of an expander bus that the user has listed without a number
 *
 * Returns: how many bus numbers to leave for it; at least 2, as libvirt always
 *          did
 */
int
virDomainPCINumbersNeeded(virDomainPCIAddressSet *addrs,
                          size_t host)
{
    return MAX(virDomainPCINumbersCount(addrs, host), 2);
}


/**
 * virDomainPCINumbersLeft:
 * @addrs: address set
 * @host: bus of a host bridge
 *
 * Returns: how many bus numbers are left below it: as many as there can be if
 *          its own number is not chosen yet, or if it shares none
 */
int
virDomainPCINumbersLeft(virDomainPCIAddressSet *addrs,
                        size_t host)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    int first = topology->buses[host].busNr;
    int next = VIR_DOMAIN_PCI_BUSES_MAX;
    size_t i;

    if (!virDomainPCIModelIsExpander(addrs->buses[host].model) || first < 0)
        return VIR_DOMAIN_PCI_BUSES_MAX;

    for (i = 0; i < addrs->nbuses; i++) {
        if (topology->buses[i].busNr > first)
            next = MIN(next, topology->buses[i].busNr);
    }

    return next - first - virDomainPCINumbersCount(addrs, host);
}


/**
 * virDomainPCINumbersAreLeft:
 * @addrs: address set
 * @bus: a bus
 *
 * Returns: true if there is a bus number for a controller on @bus
 */
bool
virDomainPCINumbersAreLeft(virDomainPCIAddressSet *addrs,
                           size_t bus)
{
    return !virDomainPCITopologyGet(addrs)->numbered ||
        virDomainPCINumbersLeft(addrs, virDomainPCITopologyGetHost(addrs, bus)) > 0;
}


/**
 * virDomainPCINumbersSuffice:
 * @addrs: address set
 * @node: NUMA node of the guest, -1: none
 * @chain: controllers that are to be added below a host bridge of @node
 *
 * Returns: true if there are bus numbers for @chain, after all controllers that
 *          wait for a place there got theirs
 */
bool
virDomainPCINumbersSuffice(virDomainPCIAddressSet *addrs,
                           int node,
                           const virDomainPCIChain *chain)
{
    virDomainPCITopology *topology = virDomainPCITopologyGet(addrs);
    int left = 0;
    size_t i;

    /* a host bridge that is added comes with numbers */
    if (node < 0 || virDomainPCIModelIsHostBridge(chain->models[0]))
        return true;

    for (i = 0; i < addrs->nbuses; i++) {
        if (topology->buses[i].node != node)
            continue;

        if (virDomainPCIModelIsHostBridge(addrs->buses[i].model))
            left += virDomainPCINumbersLeft(addrs, i);
        else if (!topology->buses[i].connected)
            left--;
    }

    return left >= (int)chain->nmodels;
}


static int
virDomainPCINumbersLowest(const virDomainDef *def)
{
    int lowest = VIR_DOMAIN_PCI_BUSES_MAX;
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        const virDomainControllerDef *cont = def->controllers[i];

        if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI && cont->opts.pciopts.busNr >= 0)
            lowest = MIN(lowest, cont->opts.pciopts.busNr);
    }

    return lowest;
}


/* Is @cont an expander bus that has no number yet? */
static bool
virDomainPCINumbersIsWanted(const virDomainControllerDef *cont)
{
    return cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI &&
        virDomainPCIModelIsExpander(cont->model) && cont->opts.pciopts.busNr < 0;
}


/**
 * virDomainPCINumbersChoose:
 * @addrs: address set in which all PCI controllers have their places
 * @def: domain definition
 * @given: indexes of the PCI controllers that the user has listed
 *
 * Chooses the numbers of the expander buses that were added, from the highest
 * to the lowest, so that there is room for more below each.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
virDomainPCINumbersChoose(virDomainPCIAddressSet *addrs,
                          virDomainDef *def,
                          virBitmap *given)
{
    int taken = virDomainPCINumbersCount(addrs, 0);
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        if (virDomainPCINumbersIsWanted(def->controllers[i]))
            taken += virDomainPCINumbersNeeded(addrs, def->controllers[i]->idx);
    }

    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];
        int lowest;
        int spare;
        int count;

        if (!virDomainPCINumbersIsWanted(cont) || virBitmapIsBitSet(given, cont->idx))
            continue;

        lowest = virDomainPCINumbersLowest(def);
        spare = MIN(NUMBERS_SPARE, lowest - taken);
        if (spare < 0) {
            virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                           _("No free bus numbers for PCI controller model='%1$s' of NUMA node %2$d: %3$d are needed, and there are %4$d"),
                           virDomainControllerModelPCITypeToString(cont->model),
                           cont->opts.pciopts.numaNode, taken, lowest);
            return -1;
        }

        count = virDomainPCINumbersNeeded(addrs, cont->idx);
        cont->opts.pciopts.busNr = lowest - count - spare;
        taken -= count;
    }

    return 0;
}


/* The number that ends the range of @cont: that of another expander bus, or the
 * number of buses that there can be */
static int
virDomainPCINumbersNext(const virDomainDef *def,
                        const virDomainControllerDef *cont)
{
    int next = VIR_DOMAIN_PCI_BUSES_MAX;
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        const virDomainControllerDef *other = def->controllers[i];

        if (other->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI || other == cont ||
            other->opts.pciopts.busNr < cont->opts.pciopts.busNr)
            continue;

        next = MIN(next, other->opts.pciopts.busNr);
    }

    return next;
}


/**
 * virDomainPCINumbersCheck:
 * @addrs: address set in which all PCI controllers have their places
 * @def: new domain definition
 *
 * Returns: 0 if the bus numbers below each expander bus, and below the root, end
 *          before those of the next; -1 with VIR_ERR_CONFIG_UNSUPPORTED
 *          reported otherwise
 */
int
virDomainPCINumbersCheck(virDomainPCIAddressSet *addrs,
                         const virDomainDef *def)
{
    int lowest = virDomainPCINumbersLowest(def);
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        const virDomainControllerDef *cont = def->controllers[i];
        int busNr = cont->opts.pciopts.busNr;
        int count;
        int next;

        if (cont->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI || busNr < 0)
            continue;

        count = virDomainPCINumbersCount(addrs, cont->idx);
        next = virDomainPCINumbersNext(def, cont);
        if (busNr + count <= next)
            continue;

        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("PCI controller with index='%1$d' and what is below it take %2$d bus numbers, and busNr='%3$d' leaves %4$d; the largest busNr that works is %5$d"),
                       cont->idx, count, busNr, next - busNr, next - count);
        return -1;
    }

    if (lowest < VIR_DOMAIN_PCI_BUSES_MAX && virDomainPCINumbersCount(addrs, 0) > lowest) {
        virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                       _("the PCI root bus and what is below it take %1$d bus numbers, and busNr='%2$d' of an expander bus leaves %2$d"),
                       virDomainPCINumbersCount(addrs, 0), lowest);
        return -1;
    }

    return 0;
}

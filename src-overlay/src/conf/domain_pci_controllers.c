/*
 * domain_pci_controllers.c: the PCI controllers of a definition, their numbers
 * and order
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "domain_pci_controllers.h"
#include "domain_pci_model.h"
#include "virerror.h"

#define VIR_FROM_THIS VIR_FROM_DOMAIN


/**
 * virDomainPCIControllersIndexes:
 * @def: domain definition
 *
 * Returns: the indexes of its PCI controllers, to be freed by the caller
 */
virBitmap *
virDomainPCIControllersIndexes(const virDomainDef *def)
{
    virBitmap *indexes = virBitmapNew(0);
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        if (def->controllers[i]->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI)
            virBitmapSetBitExpand(indexes, def->controllers[i]->idx);
    }

    return indexes;
}


/**
 * virDomainPCIControllersCountBuses:
 * @def: domain definition
 *
 * Returns: the number of buses that the highest index of its PCI controllers
 *          asks for, 0 if it has none
 */
size_t
virDomainPCIControllersCountBuses(const virDomainDef *def)
{
    size_t count = 0;
    size_t i;

    for (i = 0; i < def->ncontrollers; i++) {
        if (def->controllers[i]->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI)
            count = MAX(count, (size_t)def->controllers[i]->idx + 1);
    }

    return count;
}


/* Is the bus that @cont plugs into provided by a controller in @placed? */
static bool
virDomainPCIControllersParentPlaced(const virDomainControllerDef *cont,
                                    virBitmap *placed)
{
    return !virDeviceInfoPCIAddressIsPresent(&cont->info) ||
        virDomainPCIModelIsRoot(cont->model) ||
        virBitmapIsBitSet(placed, cont->info.addr.pci.bus);
}


/* Fills @order with the controllers of @def, each PCI controller after the one
 * it plugs into; those that cannot be brought into that order come last.
 * Returns how many could. */
static size_t
virDomainPCIControllersSort(const virDomainDef *def,
                            virDomainControllerDef **order)
{
    g_autoptr(virBitmap) placed = virBitmapNew(0);
    g_autoptr(virBitmap) done = virBitmapNew(def->ncontrollers);
    bool changed = true;
    size_t sorted;
    size_t n = 0;
    size_t i;

    /* Root buses come with the machine */
    for (i = 0; i < def->ncontrollers; i++) {
        virDomainControllerDef *cont = def->controllers[i];

        if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI &&
            virDomainPCIModelIsRoot(cont->model))
            virBitmapSetBitExpand(placed, cont->idx);
    }

    while (changed) {
        changed = false;

        for (i = 0; i < def->ncontrollers; i++) {
            virDomainControllerDef *cont = def->controllers[i];

            if (virBitmapIsBitSet(done, i))
                continue;

            if (cont->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI) {
                if (!virDomainPCIControllersParentPlaced(cont, placed))
                    continue;
                virBitmapSetBitExpand(placed, cont->idx);
            }

            virBitmapSetBitExpand(done, i);
            order[n++] = cont;
            changed = true;
        }
    }

    sorted = n;
    for (i = 0; i < def->ncontrollers; i++) {
        if (!virBitmapIsBitSet(done, i))
            order[n++] = def->controllers[i];
    }

    return sorted;
}


/**
 * virDomainPCIControllersOrder:
 * @def: domain definition
 *
 * QEMU looks up the bus of each device when it creates it, so a PCI controller
 * has to follow the one it plugs into. Otherwise the order of @def is kept.
 *
 * Returns: an array with all def->ncontrollers controllers, to be freed by the
 *          caller with g_free(); the controllers belong to @def
 */
virDomainControllerDef **
virDomainPCIControllersOrder(const virDomainDef *def)
{
    virDomainControllerDef **order = g_new0(virDomainControllerDef *,
                                            def->ncontrollers + 1);

    virDomainPCIControllersSort(def, order);
    return order;
}


/**
 * virDomainPCIControllersCheck:
 * @def: domain definition whose PCI controllers have their addresses
 *
 * Refuses controllers that are plugged, directly or through others, into
 * themselves: no guest can be started with them.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
virDomainPCIControllersCheck(const virDomainDef *def)
{
    g_autofree virDomainControllerDef **order = NULL;
    virDomainControllerDef *cont;
    size_t n;

    order = g_new0(virDomainControllerDef *, def->ncontrollers + 1);

    if ((n = virDomainPCIControllersSort(def, order)) == def->ncontrollers)
        return 0;

    cont = order[n];
    virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                   _("PCI controller with index='%1$d' and model='%2$s' is plugged into bus='0x%3$02x', which does not lead to the root bus without it"),
                   cont->idx,
                   virDomainControllerModelPCITypeToString(cont->model),
                   cont->info.addr.pci.bus);
    return -1;
}


/**
 * virDomainPCIControllersUnusedIndex:
 * @def: domain definition
 * @cont: controller of @def that was listed without an index
 *
 * Index 0 is the root of the machine, whether or not it is listed; other PCI
 * controllers are numbered from 1.
 *
 * Returns: the lowest index that @cont can take
 */
int
virDomainPCIControllersUnusedIndex(const virDomainDef *def,
                                   const virDomainControllerDef *cont)
{
    int idx = 1;

    if (cont->type != VIR_DOMAIN_CONTROLLER_TYPE_PCI ||
        virDomainPCIModelIsRoot(cont->model))
        return virDomainControllerFindUnusedIndex(def, cont->type);

    while (virDomainControllerFind(def, cont->type, idx) >= 0)
        idx++;

    return idx;
}

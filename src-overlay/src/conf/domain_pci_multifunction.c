/*
 * domain_pci_multifunction.c: slots of which several functions are in use
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <config.h>

#include "domain_pci_multifunction.h"
#include "domain_pci_model.h"

/* The slots that have more than one function, one mask per bus of domain 0 */
typedef struct {
    uint32_t slots[VIR_DOMAIN_PCI_BUSES_MAX];
} virDomainPCIMultifunction;


static bool
virDomainPCIMultifunctionIsOnBus(const virDomainDeviceInfo *info)
{
    return info && info->type == VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI &&
        info->addr.pci.domain == 0 &&
        info->addr.pci.bus < VIR_DOMAIN_PCI_BUSES_MAX &&
        info->addr.pci.slot <= VIR_PCI_ADDRESS_SLOT_LAST;
}


static int
virDomainPCIMultifunctionCollect(virDomainDef *def G_GNUC_UNUSED,
                                 virDomainDeviceDef *dev G_GNUC_UNUSED,
                                 virDomainDeviceInfo *info,
                                 void *opaque)
{
    virDomainPCIMultifunction *multi = opaque;

    if (virDomainPCIMultifunctionIsOnBus(info) && info->addr.pci.function != 0)
        multi->slots[info->addr.pci.bus] |= 1U << info->addr.pci.slot;

    return 0;
}


static int
virDomainPCIMultifunctionMark(virDomainDef *def G_GNUC_UNUSED,
                              virDomainDeviceDef *dev G_GNUC_UNUSED,
                              virDomainDeviceInfo *info,
                              void *opaque)
{
    virDomainPCIMultifunction *multi = opaque;
    uint32_t *slots;

    if (!virDomainPCIMultifunctionIsOnBus(info) || info->addr.pci.function != 0)
        return 0;

    slots = &multi->slots[info->addr.pci.bus];

    if (!(*slots & (1U << info->addr.pci.slot)))
        return 0;

    /* the first device of the slot counts, and what the user says */
    *slots &= ~(1U << info->addr.pci.slot);
    if (info->addr.pci.multi == VIR_TRISTATE_SWITCH_ABSENT)
        info->addr.pci.multi = VIR_TRISTATE_SWITCH_ON;

    return 0;
}


/**
 * virDomainPCIMultifunctionSet:
 * @def: domain definition whose devices have their addresses
 *
 * Sets multifunction for the device at function 0 of each slot of which other
 * functions are in use too, unless the user has set it off.
 */
void
virDomainPCIMultifunctionSet(virDomainDef *def)
{
    g_autofree virDomainPCIMultifunction *multi = g_new0(virDomainPCIMultifunction, 1);

    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIMultifunctionCollect, multi));
    ignore_value(virDomainDeviceInfoIterate(def, virDomainPCIMultifunctionMark, multi));
}

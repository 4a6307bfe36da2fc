/*
 * domain_pci_model.c: what models of PCI controllers offer, and what suits them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a model plugs into and what it offers is not written down here a second
 * time: it is asked of virDomainPCIControllerModelToConnectType() and
 * virDomainPCIAddressBusSetModel(). Whether a slot suits a device is decided
 * in one function, virDomainPCIBusSuits().
 */

#include <config.h>

#include "domain_pci_model.h"

/* A model that is added upstream must be sorted into the policy rows of the
 * hypervisor drivers before this may be raised. */
G_STATIC_ASSERT(VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST == 10);


/**
 * virDomainPCIModelIsRoot:
 * @model: model of a PCI controller
 *
 * Returns: true if it is part of the machine or, as the PHBs of pseries, plugs
 *          into nothing
 */
bool
virDomainPCIModelIsRoot(virDomainControllerModelPCI model)
{
    return !virDomainPCIControllerModelToConnectType(model);
}


/**
 * virDomainPCIModelIsExpander:
 * @model: model of a PCI controller
 *
 * Returns: true if it is a host bridge that shares the bus numbers of the root
 *          (docs/pci_expander_bridge.txt of QEMU)
 */
bool
virDomainPCIModelIsExpander(virDomainControllerModelPCI model)
{
    return model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS ||
        model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS;
}


/**
 * virDomainPCIModelIsHostBridge:
 * @model: model of a PCI controller
 *
 * Returns: true if what is below it can have a NUMA node of its own
 */
bool
virDomainPCIModelIsHostBridge(virDomainControllerModelPCI model)
{
    return virDomainPCIModelIsRoot(model) || virDomainPCIModelIsExpander(model);
}


/**
 * virDomainPCIModelOffers:
 * @model: model of a PCI controller
 * @flags: what a device needs
 *
 * Returns: true if a new controller of @model has a slot for the device
 */
bool
virDomainPCIModelOffers(virDomainControllerModelPCI model,
                        virDomainPCIConnectFlags flags)
{
    virDomainPCIAddressBus bus = { 0 };

    return virDomainPCIAddressBusSetModel(&bus, model, true) == 0 &&
        virDomainPCIBusSuits(bus.flags, VIR_DOMAIN_PCI_BUSES_MAX, flags, false);
}


/**
 * virDomainPCIModelSlots:
 * @model: model of a PCI controller
 *
 * Returns: how many slots a controller of @model has, whoever may use them
 */
size_t
virDomainPCIModelSlots(virDomainControllerModelPCI model)
{
    virDomainPCIAddressBus bus = { 0 };

    if (virDomainPCIAddressBusSetModel(&bus, model, true) < 0)
        return 0;

    return bus.maxSlot - bus.minSlot + 1;
}


/**
 * virDomainPCIModelMultiplies:
 * @model: model of a PCI controller
 *
 * Returns: true if a controller of @model opens more slots than it takes, so
 *          that a device that must give way to it finds another place
 */
bool
virDomainPCIModelMultiplies(virDomainControllerModelPCI model)
{
    return virDomainPCIModelSlots(model) > 1;
}


/**
 * virDomainPCIConnectTypes:
 * @flags: what a device needs
 *
 * What is part of the chipset may be conventional on pcie-root as well.
 * (9.0.0's rule does not say so, for it has no such device.)
 *
 * Returns: the types of slots that will do
 */
virDomainPCIConnectFlags
virDomainPCIConnectTypes(virDomainPCIConnectFlags flags)
{
    virDomainPCIConnectFlags types = flags & VIR_PCI_CONNECT_TYPES_MASK;

    if (flags & VIR_PCI_CONNECT_INTEGRATED && types & VIR_PCI_CONNECT_TYPE_PCI_DEVICE)
        types |= VIR_PCI_CONNECT_TYPE_PCIE_DEVICE;

    return types;
}


/**
 * virDomainPCIBusSuits:
 * @busFlags: what a bus offers
 * @busNr: its number
 * @flags: what a device needs
 * @fromConfig: the user chose the bus for the device
 *
 * The one rule for which slots suit which device. An integrated device can
 * only be on the root bus, which is not for others that libvirt places. A user
 * may put devices where libvirt would not: a conventional device into a PCI
 * Express slot and the other way round, a bridge wherever a conventional
 * device can be, and anything on a bus without automatic assignment.
 *
 * Returns: true if the slots of the bus suit the device
 */
bool
virDomainPCIBusSuits(virDomainPCIConnectFlags busFlags,
                     size_t busNr,
                     virDomainPCIConnectFlags flags,
                     bool fromConfig)
{
    virDomainPCIConnectFlags types = virDomainPCIConnectTypes(flags);
    virDomainPCIConnectFlags needs = flags & (VIR_PCI_CONNECT_AUTOASSIGN |
                                              VIR_PCI_CONNECT_HOTPLUGGABLE);

    if (flags & VIR_PCI_CONNECT_INTEGRATED && busNr != 0)
        return false;

    if (flags & VIR_PCI_CONNECT_INTEGRATED || fromConfig)
        needs &= ~VIR_PCI_CONNECT_AUTOASSIGN;

    if (fromConfig) {
        if (busFlags & VIR_PCI_CONNECT_TYPES_ENDPOINT)
            busFlags |= VIR_PCI_CONNECT_TYPES_ENDPOINT;
        if (types & VIR_PCI_CONNECT_TYPE_PCI_BRIDGE)
            types |= VIR_PCI_CONNECT_TYPE_PCI_DEVICE;
    }

    return (needs & ~busFlags) == 0 && types & busFlags;
}


/**
 * virDomainPCIBusHasSlot:
 * @bus: a bus
 * @addr: an address on it
 * @flags: what the device that is to have it needs
 * @fromConfig: the user chose the address for the device
 *
 * Says it quickly and without a word; virDomainPCIAddressValidate() finds the
 * words if it is not so.
 *
 * Returns: true if @bus has the slot of @addr and it suits the device, whether
 *          or not it is free
 */
bool
virDomainPCIBusHasSlot(const virDomainPCIAddressBus *bus,
                       const virPCIDeviceAddress *addr,
                       virDomainPCIConnectFlags flags,
                       bool fromConfig)
{
    return addr->domain == 0 &&
        addr->slot >= bus->minSlot && addr->slot <= bus->maxSlot &&
        addr->function <= VIR_PCI_ADDRESS_FUNCTION_LAST &&
        virDomainPCIBusSuits(bus->flags, addr->bus, flags, fromConfig);
}


/**
 * virDomainPCIAddressIsOnBus:
 * @info: info of a device, or NULL
 *
 * Returns: true if the device has an address on one of the buses that a guest
 *          can have
 */
bool
virDomainPCIAddressIsOnBus(const virDomainDeviceInfo *info)
{
    return info && virDeviceInfoPCIAddressIsPresent(info) &&
        info->addr.pci.domain == 0 &&
        info->addr.pci.bus < VIR_DOMAIN_PCI_BUSES_MAX &&
        info->addr.pci.slot <= VIR_PCI_ADDRESS_SLOT_LAST;
}


/**
 * virDomainPCIAddressCompare:
 * @a: a PCI address
 * @b: another
 *
 * The order is that of buses, slots and functions. All addresses of a guest
 * are in domain 0.
 *
 * Returns: less than 0, 0 or more than 0, as strcmp() does
 */
int
virDomainPCIAddressCompare(const virPCIDeviceAddress *a,
                           const virPCIDeviceAddress *b)
{
    if (a->bus != b->bus)
        return a->bus < b->bus ? -1 : 1;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    if (a->function != b->function)
        return a->function < b->function ? -1 : 1;
    return 0;
}

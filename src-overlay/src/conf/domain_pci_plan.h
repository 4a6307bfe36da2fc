/*
 * domain_pci_plan.h: the PCI controllers that a definition is to get
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_growth.h"

/* How the buses up to one that the user wrote an address on come to be */
typedef enum {
    /* as libvirt always did it: one address after the other, in the order of
     * the XML, each with the controllers that suit its device */
    VIR_DOMAIN_PCI_PADDING_BY_DEVICE,
    /* the same, from the lowest bus to the highest, so that a controller that
     * leads to one address does not take the place of another */
    VIR_DOMAIN_PCI_PADDING_BY_ADDRESS,
    /* all at once, each bus for the addresses that are on it, and the others
     * so that as few slots of the root as possible are needed */
    VIR_DOMAIN_PCI_PADDING_BY_BUS,

    VIR_DOMAIN_PCI_PADDING_LAST
} virDomainPCIPadding;

/* An address that came with the definition */
typedef struct {
    virPCIDeviceAddress addr;
    virDomainPCIConnectFlags flags;
    const virDomainDeviceInfo *info;
} virDomainPCIWritten;

/* What is known of a guest's PCI controllers beyond its address set: it lives
 * from the first dry run until addresses are really given. */
struct _virDomainPCIPlan {
    virDomainPCIGrowthRules rules;
    virDomainPCIPadding padding;
    bool thrifty;           /* slots with windows or near a NUMA node are
                             * promised: nothing else is to take them */
    virDomainDef *def;      /* whose devices are placed */
    size_t nbusesGiven;     /* controllers from this index on are added */
    bool shares;            /* some devices have to share a slot */

    virDomainPCIWritten *written;
    size_t nwritten;

    /* controllers that were added to have free slots, not because a device
     * needs them. They are placed after all devices, so that those get the
     * lowest slots, as they would if they were attached while the guest runs. */
    virBitmap *spare;

    /* controllers that were added with windows that are promised. Devices do
     * not take their slots as long as there is any other, or others would have
     * to be added in their place. */
    virBitmap *windowed;

    /* the bus that is kept for a controller, by its index; -1: none */
    int parent[VIR_DOMAIN_PCI_BUSES_MAX];

    /* the NUMA node that a controller was added for, by its index; -1: none */
    int node[VIR_DOMAIN_PCI_BUSES_MAX];
};

virDomainPCIPlan *
virDomainPCIPlanNew(void);

void
virDomainPCIPlanFree(virDomainPCIPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomainPCIPlan, virDomainPCIPlanFree);

void
virDomainPCIPlanReset(virDomainPCIPlan *plan,
                      virDomainPCIPadding padding,
                      virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIPlanInitController(virDomainPCISlotRequest *req,
                               virDomainPCIAddressSet *addrs,
                               size_t idx)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIPlanPrepareSet(virDomainPCIAddressSet *addrs,
                           virDomainDef *def,
                           virDomainControllerModelPCI filler)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIPlanFindSlot(virDomainPCIAddressSet *addrs,
                         const virDomainPCISlotRequest *req,
                         virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
virDomainPCIPlanReserveController(virDomainPCIAddressSet *addrs,
                                  virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIPlanReserveSpareControllers(virDomainPCIAddressSet *addrs,
                                        virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIPlanReserveFree(virDomainPCIAddressSet *addrs,
                            const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIPlanReserveDisplaced(virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIPlanNote(virDomainPCIAddressSet *addrs,
                     size_t bus,
                     bool spare)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIPlanIsSettled(virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1);

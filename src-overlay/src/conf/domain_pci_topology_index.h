/*
 * domain_pci_topology_index.h: the index over an address set, for those who search it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_topology.h"

/* One bit per slot; a slot mask has to hold them all */
G_STATIC_ASSERT(VIR_PCI_ADDRESS_SLOT_LAST == 31);

/* So does the mask of a slot's functions */
G_STATIC_ASSERT(VIR_PCI_ADDRESS_FUNCTION_LAST == 7);

/* The connect types are one bit each, from ..._PCI_DEVICE to ..._PCIE_TO_PCI_BRIDGE */
#define TYPE_FIRST 4
#define TYPE_LAST 13
G_STATIC_ASSERT(VIR_PCI_CONNECT_TYPE_PCI_DEVICE == 1 << TYPE_FIRST);
G_STATIC_ASSERT(VIR_PCI_CONNECT_TYPE_PCIE_TO_PCI_BRIDGE == 1 << TYPE_LAST);
G_STATIC_ASSERT(VIR_PCI_CONNECT_TYPES_MASK ==
                ((1 << (TYPE_LAST + 1)) - (1 << TYPE_FIRST)));

#define ALL_FUNCTIONS 0xff

typedef struct {
    size_t parent;      /* the bus on which this bus' controller sits */
    bool connected;     /* @parent is known */
    uint32_t empty;     /* slots with no function in use */
    uint32_t shared;    /* slots of aggregating devices with a function left */
    uint32_t movable;   /* slots held only by devices that may still move */
    uint32_t joinable;  /* slots of devices that can have others beside them */
    uint32_t yielding;  /* slots of devices that can still join one of these */
    bool room;          /* there are empty or shared slots */
    virDomainPCIWindows windows; /* of the controller */
    virDomainPCIWindows promised; /* what of them is kept for free slots */
    virDomainPCIWindows largest; /* what one of these takes at most */
    size_t npromised;   /* how many these are */
    int node;           /* NUMA node of a host bridge, or that a controller
                         * which is added has to be below; -1: none */
    const char *group;  /* interned name of the group that the controller is
                         * for, or NULL */
    int busNr;          /* first number of an expander bus; -1: not chosen */
} virDomainPCITopologyBus;

/* A group of devices, and where it is */
typedef struct {
    virDomainPCIGroup group;
    bool placed;        /* some member has a place, or is to have it */
    virPCIDeviceAddress addr; /* that of the first member found */
    const virDomainDeviceInfo *onRoot; /* a member that needs a slot of the root
                                        * bus; NULL: none does */
} virDomainPCIGroupPlace;

struct _virDomainPCITopology {
    virDomainPCITopologyBus *buses;
    size_t nbuses;
    bool windows;   /* some controller has windows of its own */
    bool nodes;     /* some host bridge has a NUMA node */
    bool grouped;   /* some controller is for a group */
    bool numbered;  /* the number of some expander bus is chosen */
    bool joined;    /* some device was placed beside another in its slot */

    virDomainPCIGroupPlace *groups; /* that are declared */
    size_t ngroups;

    /* slots that are kept for addresses that the user wrote, by bus; the bus
     * itself may not be there yet */
    uint32_t expected[VIR_DOMAIN_PCI_BUSES_MAX];

    /* for each connect type the buses that offer it and have room for it, and
     * the number of controllers that need it and have no place yet */
    virBitmap *room[TYPE_LAST + 1];
    size_t owed[TYPE_LAST + 1];
};

uint32_t
virDomainPCITopologySlots(const virDomainPCIAddressBus *bus)
    ATTRIBUTE_NONNULL(1);

virDomainPCITopology *
virDomainPCITopologyGet(virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyReaches(virDomainPCIAddressSet *addrs,
                            size_t bus,
                            int without,
                            virBitmap **reached)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(4);

/*
 * domain_pci_topology.h: how the PCI buses of a guest hang together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_addr.h"

/* The guest numbers its buses 0-255 (PCI Local Bus Specification 3.0, 3.2.2.3:
 * the bus number is eight bits wide), and every PCI controller is one bus. */
#define VIR_DOMAIN_PCI_BUSES_MAX 256

/* Says that a slot is wanted for an endpoint, not for a PCI controller */
#define VIR_DOMAIN_PCI_ENDPOINT (-1)

/* What a device asks of the slot it is to be given */
struct _virDomainPCISlotRequest {
    virDomainPCIConnectFlags flags;
    unsigned int isolationGroup;
    int function;    /* -1: any */
    int controller;  /* index of the PCI controller that wants the slot,
                      * or VIR_DOMAIN_PCI_ENDPOINT */
    const virDomainDeviceInfo *info; /* of the device, with what the user asks
                                      * for it; may be NULL */
};

void
virDomainPCITopologyFree(virDomainPCITopology *topology);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomainPCIAddressSet, virDomainPCIAddressSetFree);

bool
virDomainPCITopologyFindSlot(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req,
                             virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

void
virDomainPCITopologySlotChanged(virDomainPCIAddressSet *addrs,
                                const virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCITopologyPlaced(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           const virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

void
virDomainPCITopologyConnect(virDomainPCIAddressSet *addrs,
                            size_t bus,
                            size_t parent)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyGetParent(virDomainPCIAddressSet *addrs,
                              size_t bus,
                              size_t *parent)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

void
virDomainPCITopologyConnectAll(virDomainPCIAddressSet *addrs,
                               virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCITopologyReachesRoot(virDomainPCIAddressSet *addrs,
                                size_t bus,
                                int without)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyAccepts(virDomainPCIAddressSet *addrs,
                            const virPCIDeviceAddress *addr,
                            virDomainPCIConnectFlags flags,
                            bool fromConfig)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

virBitmap *
virDomainPCITopologyControllerIndexes(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyIsSettled(virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyCanHold(virDomainPCIAddressSet *addrs,
                            virDomainPCIConnectFlags plug,
                            int without,
                            bool displace)
    ATTRIBUTE_NONNULL(1);

/* How many slots of a kind there are */
typedef struct {
    size_t total;       /* hotpluggable slots */
    size_t used;        /* of these, in use */
    size_t unpluggable; /* free, but without hotplug */
} virDomainPCICensus;

void
virDomainPCITopologyCount(virDomainPCIAddressSet *addrs,
                          virDomainPCIConnectFlags type,
                          virDomainPCICensus *census)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

size_t
virDomainPCITopologyCountModel(virDomainPCIAddressSet *addrs,
                               virDomainControllerModelPCI model)
    ATTRIBUTE_NONNULL(1);

char *
virDomainPCITopologyDeviceName(virDomainPCIAddressSet *addrs,
                               const virDomainDeviceInfo *info)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyHasUnplaced(virDomainPCIAddressSet *addrs,
                                virDomainControllerModelPCI model,
                                int except)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyModelOffers(virDomainControllerModelPCI model,
                                virDomainPCIConnectFlags flags);

bool
virDomainPCITopologyModelMultiplies(virDomainControllerModelPCI model);

void
virDomainPCITopologySetAllMulti(virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

char *
virDomainPCIDeviceName(const virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1);

virDomainControllerDef **
virDomainPCITopologyOrderControllers(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCITopologyCheckControllers(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCITopologyUnusedIndex(const virDomainDef *def,
                                const virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

/*
 * domain_pci_topology.h: how the PCI buses of a guest hang together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_request.h"

/* Whose slots a PCI controller that is added may have */
typedef enum {
    VIR_DOMAIN_PCI_DISPLACE_NONE = 0,
    /* those of devices without an address, which find others below it */
    VIR_DOMAIN_PCI_DISPLACE_MOVABLE = 1 << 0,
    /* those of devices without an address that can share another */
    VIR_DOMAIN_PCI_DISPLACE_YIELDING = 1 << 1,
} virDomainPCIDisplace;

void
virDomainPCITopologyFree(virDomainPCITopology *topology);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomainPCIAddressSet, virDomainPCIAddressSetFree);

bool
virDomainPCITopologyFindSlot(virDomainPCIAddressSet *addrs,
                             const virDomainPCISlotRequest *req,
                             virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
virDomainPCITopologySetModel(virDomainPCIAddressSet *addrs,
                             size_t idx,
                             virDomainControllerModelPCI model)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCITopologySlotChanged(virDomainPCIAddressSet *addrs,
                                const virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCITopologyExpect(virDomainPCIAddressSet *addrs,
                           const virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCITopologySetWindows(virDomainPCIAddressSet *addrs,
                               size_t bus,
                               const virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

const virDomainPCIWindows *
virDomainPCITopologyGetWindows(virDomainPCIAddressSet *addrs,
                               size_t bus)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCITopologySetNode(virDomainPCIAddressSet *addrs,
                            size_t bus,
                            int node)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCITopologySetBusNr(virDomainPCIAddressSet *addrs,
                             size_t bus,
                             int busNr)
    ATTRIBUTE_NONNULL(1);

size_t
virDomainPCITopologyGetHost(virDomainPCIAddressSet *addrs,
                            size_t bus)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCITopologyGetNode(virDomainPCIAddressSet *addrs,
                            size_t bus)
    ATTRIBUTE_NONNULL(1);

const virDomainPCIWindows *
virDomainPCITopologyGetPromised(virDomainPCIAddressSet *addrs,
                                size_t bus)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologySlotIsEmpty(virDomainPCIAddressSet *addrs,
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
                               const virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCITopologyReachesRoot(virDomainPCIAddressSet *addrs,
                                size_t bus,
                                int without)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCITopologyCanHold(virDomainPCIAddressSet *addrs,
                            virDomainPCIConnectFlags plug,
                            const virDomainPCISlotRequest *req,
                            virDomainPCIDisplace displace)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

bool
virDomainPCITopologyHasRoom(virDomainPCIAddressSet *addrs,
                            size_t bus)
    ATTRIBUTE_NONNULL(1);

/*
 * domain_pci_census.h: which slots of a guest are free
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_topology.h"

/* Free slots, one mask per bus: bit N stands for slot N */
typedef struct {
    uint32_t slots[VIR_DOMAIN_PCI_BUSES_MAX];
    size_t count;
} virDomainPCIFreeSlots;

uint32_t
virDomainPCICensusEmpty(const virDomainPCIAddressBus *bus)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCICensusTake(virDomainPCIAddressSet *addrs,
                       virDomainPCIConnectFlags type,
                       virDomainPCIFreeSlots *found)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

/*
 * qemu_pci_nodes.h: devices and free slots near the memory of a NUMA node
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "qemu_pci_policy.h"

const char *
qemuPCINodesProblem(const virDomainDef *def,
                    const qemuPCIPolicy *policy,
                    virQEMUCaps *qemuCaps,
                    int node,
                    bool later)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
qemuPCINodesAreAsked(virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

int
qemuPCINodesFindHostdev(const virDomainDef *def,
                        const virDomainHostdevDef *hostdev,
                        int *node)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
qemuPCINodesPlaceHostdevs(virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

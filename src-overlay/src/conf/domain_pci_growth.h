/*
 * domain_pci_growth.h: which PCI controllers lead to a slot
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_topology.h"

/* Which controllers may be added to a guest. The hypervisor driver fills this
 * in from its machine policy and what the hypervisor binary has. */
typedef struct {
    /* in order of preference */
    virDomainControllerModelPCI models[VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST];
    size_t nmodels;

    /* How many root buses the machine can have, 1 if it has just its own */
    size_t rootsMax;

    /* A model that gives the root bus itself conventional slots, without a
     * port in between, or VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT. Used where
     * an address that the user wrote leaves no bus number for a port. */
    virDomainControllerModelPCI rootBridge;

    /* A host bridge that has a NUMA node, and is added for that or for a group
     * only, or VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT */
    virDomainControllerModelPCI nodeHost;

    /* models that can be given windows which the firmware heeds: a mask of
     * 1 << virDomainControllerModelPCI */
    unsigned int windows;
} virDomainPCIGrowthRules;

/* Controllers to be added, from the root towards the device */
struct _virDomainPCIChain {
    virDomainControllerModelPCI models[VIR_DOMAIN_PCI_BUSES_MAX];
    size_t nmodels;
    /* The first @nlinks of them hang one below the other; the others only
     * fill the buses up to an address that the user wrote. */
    size_t nlinks;
    virDomainPCIWindows windows; /* of the last link, which has the slot */
    int node; /* NUMA node that the links are for, -1: none */
    const char *group; /* interned name of the group that the links from @head
                        * on are for, or NULL */
    size_t head;
    bool shares; /* devices may have to share a slot to make room for it */
};

void
virDomainPCIGrowthRulesAdd(virDomainPCIGrowthRules *rules,
                           virDomainControllerModelPCI model)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIGrowthMayAdd(const virDomainPCIGrowthRules *rules,
                         virDomainControllerModelPCI model)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIGrowthPlanSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           virDomainPCIChain *chain)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

bool
virDomainPCIGrowthPlanBus(virDomainPCIAddressSet *addrs,
                          const virPCIDeviceAddress *addr,
                          virDomainPCIConnectFlags flags,
                          virDomainPCIChain *chain)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(4);

int
virDomainPCIGrowthAdd(virDomainPCIAddressSet *addrs,
                      const virDomainPCIChain *chain,
                      bool collecting)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIGrowthFindSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

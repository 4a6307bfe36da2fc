/*
 * domain_pci_growth.h: which PCI controllers to add for a device
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_topology.h"

/* Which controllers may be added to a guest. The hypervisor driver fills this
 * in from its machine policy and what the hypervisor binary has. */
struct _virDomainPCIGrowthRules {
    /* in order of preference */
    virDomainControllerModelPCI models[VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST];
    size_t nmodels;

    /* How many root buses the machine can have, 1 if it has just its own */
    size_t rootsMax;

    /* A model that gives the root bus itself conventional slots, without a
     * port in between, or VIR_DOMAIN_CONTROLLER_MODEL_PCI_DEFAULT. Used where
     * an address that the user wrote leaves no bus number for a port. */
    virDomainControllerModelPCI rootBridge;
};

/* In the connect flags of a PCI controller: it was added to have free slots,
 * not because a device needs it. It is placed after all devices, so that those
 * get the lowest slots, as they would if they were attached to the guest while
 * it runs. */
#define VIR_DOMAIN_PCI_CONNECT_SPARE (1 << 20)

/* Controllers to be added, from the root towards the device */
struct _virDomainPCIChain {
    virDomainControllerModelPCI models[VIR_DOMAIN_PCI_BUSES_MAX];
    size_t nmodels;
    /* The first @nlinks of them hang one below the other; the others only
     * fill the buses up to an address that the user wrote. */
    size_t nlinks;
    /* Other devices have addresses that are not in the address set yet, so
     * that the first link cannot be given a slot. */
    bool collecting;
};

void
virDomainPCIGrowthRulesAdd(virDomainPCIGrowthRules *rules,
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
virDomainPCIGrowthSettle(virDomainPCIAddressSet *addrs,
                         const virDomainPCIChain *chain)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIGrowthFindSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

int
virDomainPCIGrowthReachBus(virDomainPCIAddressSet *addrs,
                           const virPCIDeviceAddress *addr,
                           virDomainPCIConnectFlags flags)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIGrowthReserveController(virDomainPCIAddressSet *addrs,
                                    virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIGrowthReserveLast(virDomainPCIAddressSet *addrs,
                              virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

int
virDomainPCIGrowthReserveSpare(virDomainPCIAddressSet *addrs,
                               virDomainPCIConnectFlags type)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIGrowthKeepSwitch(virDomainPCIAddressSet *addrs,
                             virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIGrowthReportRefusal(virDomainPCIAddressSet *addrs,
                                const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

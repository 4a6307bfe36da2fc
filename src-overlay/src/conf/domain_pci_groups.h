/*
 * domain_pci_groups.h: devices that belong together
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_topology.h"

void
virDomainPCIGroupsCollect(virDomainPCIAddressSet *addrs,
                          virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

const virDomainPCIGroup *
virDomainPCIGroupsGet(virDomainPCIAddressSet *addrs,
                      const char *name)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIGroupsSetBus(virDomainPCIAddressSet *addrs,
                         size_t bus,
                         const char *name)
    ATTRIBUTE_NONNULL(1);

const char *
virDomainPCIGroupsGetBus(virDomainPCIAddressSet *addrs,
                         size_t bus)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIGroupsInitRequest(virDomainPCISlotRequest *req,
                              virDomainPCIAddressSet *addrs,
                              const char *name)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIGroupsInitController(virDomainPCISlotRequest *req,
                                 virDomainPCIAddressSet *addrs,
                                 size_t idx)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

const char *
virDomainPCIGroupsWanted(virDomainPCIAddressSet *addrs,
                         const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIGroupsFit(virDomainPCIAddressSet *addrs,
                      const virDomainPCISlotRequest *req,
                      size_t bus)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIGroupsHaveSlot(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIGroupsKeepSlots(virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIGroupsFindFunction(virDomainPCIAddressSet *addrs,
                               const virDomainPCISlotRequest *req,
                               virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

void
virDomainPCIGroupsPlaced(virDomainPCIAddressSet *addrs,
                         const virDomainPCISlotRequest *req,
                         const virPCIDeviceAddress *addr)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

bool
virDomainPCIGroupsWantHost(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIGroupsBegin(virDomainPCIAddressSet *addrs,
                        const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIGroupsFindHead(virDomainPCIAddressSet *addrs,
                           const virDomainPCISlotRequest *req,
                           const virDomainControllerModelPCI *models,
                           size_t nmodels,
                           size_t *head)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3) ATTRIBUTE_NONNULL(5);

bool
virDomainPCIGroupsIsSlot(const virDomainDef *def,
                         const virDomainDeviceInfo *info)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

const char *
virDomainPCIGroupsPlaceProblem(virDomainPCIAddressSet *addrs,
                               const virDomainDeviceInfo *info)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

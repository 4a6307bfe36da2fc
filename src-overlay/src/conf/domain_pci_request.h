/*
 * domain_pci_request.h: what a device asks of the slot it is to be given
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_model.h"
#include "domain_pci_windows.h"

/* Says that a slot is wanted for an endpoint, not for a PCI controller */
#define VIR_DOMAIN_PCI_ENDPOINT (-1)

/* All that a slot must be. Whoever looks for a slot, or counts those that are
 * free, has one of these. */
struct _virDomainPCISlotRequest {
    virDomainPCIConnectFlags flags;    /* the types of slots that suit best, and
                                        * what else the slot has to have */
    virDomainPCIConnectFlags fallback; /* types that will do if there is none */
    int model;               /* of the controller that has the slot; -1: any */
    unsigned int isolationGroup;
    int node;                /* NUMA node of the guest, -1: any */
    const char *group;       /* interned name of the group that it is in, or
                              * NULL */
    int function;            /* -1: any */
    int controller;          /* index of the PCI controller that wants the slot,
                              * or VIR_DOMAIN_PCI_ENDPOINT */
    bool numbered;           /* it goes only where a bus number is left for it */
    virDomainPCIWindows windows; /* that the device needs */
    size_t nslots;           /* so many slots like this one are wanted, so that
                              * a bridge added for it has room for all */
    bool carrier;            /* what is added for it must be able to have
                              * windows, though none are counted */
    bool optional;           /* no device has to begin to share a slot for it */
    bool thrifty;            /* not the lowest slot is wanted, but the one with
                              * the smallest windows that suit */
    virBitmap *spared;       /* buses that the plan has promised to others, and
                              * that are not wanted; NULL: none */
    bool io;                 /* thrifty, for a device with I/O BARs, which has to
                              * work although it was not there at boot */
    const virDomainDeviceInfo *info; /* of the device, to name it; may be NULL */
};

void
virDomainPCISlotRequestInit(virDomainPCISlotRequest *req,
                            virDomainPCIAddressSet *addrs,
                            const virDomainDeviceInfo *info,
                            virDomainPCIConnectFlags flags)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

void
virDomainPCISlotRequestInitController(virDomainPCISlotRequest *req,
                                      virDomainControllerModelPCI model,
                                      size_t idx)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCISlotRequestInitFree(virDomainPCISlotRequest *req,
                                virDomainPCIConnectFlags flags)
    ATTRIBUTE_NONNULL(1);

char *
virDomainPCIDeviceName(const virDomainDeviceDef *dev)
    ATTRIBUTE_NONNULL(1);

char *
virDomainPCIDeviceNameByInfo(virDomainDef *def,
                             const virDomainDeviceInfo *info);

const char *
virDomainPCISlotRequestKind(const virDomainPCISlotRequest *req)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCISlotRequestRefuse(const virDomainPCISlotRequest *req,
                              virDomainDef *def,
                              virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

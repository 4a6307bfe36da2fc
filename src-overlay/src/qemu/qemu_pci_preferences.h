/*
 * qemu_pci_preferences.h: what <preferences> ask of a guest as a whole
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_plan.h"
#include "qemu_conf.h"
#include "qemu_pci_policy.h"

/* Free hotpluggable slots, by class */
typedef enum {
    QEMU_PCI_SLOTS_EXPRESS,
    QEMU_PCI_SLOTS_CONVENTIONAL,
    QEMU_PCI_SLOTS_LAST
} qemuPCISlots;

/* Free slots of one kind */
typedef struct {
    qemuPCISlots kind;
    unsigned int asked;
    unsigned int possible;  /* at most @asked */
    virDomainPCIWindows windows; /* that each of them has */
    int node;               /* NUMA node of the guest, -1: any */
    const char *group;      /* interned name of the group that they are for */
    bool ordinary;          /* bridges that are added for them have windows */
} qemuPCIPromiseItem;

/* All free slots that a definition is to have */
typedef struct {
    qemuPCIPromiseItem *items;
    size_t nitems;
    bool windows;           /* some of them with windows */
    bool io;                /* among these I/O windows */
    bool noIO;              /* ports that are added leave I/O to others */
    bool ordinary;          /* some of them are */
} qemuPCIPromise;

int
qemuPCIPreferencesCheck(const virDomainDef *def,
                        const qemuPCIPolicy *policy,
                        virQEMUCaps *qemuCaps)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

virDomainPreferencesCaps *
qemuPCIPreferencesCaps(virQEMUDriver *driver,
                       virQEMUCaps *qemuCaps,
                       const char *machine,
                       virArch arch,
                       virDomainVirtType virtType)
    ATTRIBUTE_NONNULL(3);

void
qemuPCIPromiseInit(qemuPCIPromise *promise,
                   const virDomainPreferences *prefs,
                   const qemuPCIPolicy *policy)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

void
qemuPCIPromiseClear(qemuPCIPromise *promise)
    ATTRIBUTE_NONNULL(1);

bool
qemuPCIPromiseIsPossible(const qemuPCIPromise *promise,
                         qemuPCISlots kind)
    ATTRIBUTE_NONNULL(1);

int
qemuPCIPromiseReserve(qemuPCIPromise *promise,
                      virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
qemuPCIPromiseSetWindows(const qemuPCIPromise *promise,
                         virDomainPCIAddressSet *addrs,
                         const virDomainDef *def,
                         virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3) ATTRIBUTE_NONNULL(4);

int
qemuPCIPromiseCheck(const qemuPCIPromise *promise,
                    const virDomainDef *def)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

/*
 * qemu_pci_policy.h: what libvirt decides about PCI for each machine family
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "domain_pci_growth.h"
#include "qemu_capabilities.h"

/* What is kept free beyond what the devices of a definition need */
typedef enum {
    QEMU_PCI_SPARE_NONE,
    /* One conventional slot, so that there is a place for the next bridge,
     * unless every slot is occupied already. */
    QEMU_PCI_SPARE_GROWTH_SLOT,
    /* One hotpluggable root port, if the user listed no PCI controller but the
     * root and one had to be added (the "libguestfs clause"). */
    QEMU_PCI_SPARE_PORT,
} qemuPCISpare;

/* How virtio devices without an address are connected */
typedef enum {
    /* no choice is made for them here */
    QEMU_PCI_VIRTIO_MACHINE,
    /* virtio-mmio */
    QEMU_PCI_VIRTIO_MMIO,
    /* PCI, unless the guest has virtio-mmio devices already */
    QEMU_PCI_VIRTIO_PCI_OR_MMIO,
} qemuPCIVirtio;

/* How a guest learns that a device has come into a slot while it runs, or is to
 * go: "acpi", "native" (PCI Express hotplug of the port), "shpc" (standard
 * hotplug controller of the bridge) or "rtas". "none": QEMU takes the device, and
 * the guest is not told. NULL: not known. */
typedef struct {
    const char *root;   /* slots of the root bus */
    const char *port;   /* of PCI Express ports */
    const char *bridge; /* of conventional bridges */
} qemuPCITelling;

typedef struct {
    const char *name;

    /* does the row apply to the machine? NULL: yes, if the root matches */
    bool (*isMachine)(const virDomainDef *def);
    /* the root bus of the machine; ..._PCI_DEFAULT: there is none */
    virDomainControllerModelPCI root;

    /* controllers that may be added, in order of preference, ending in
     * ..._PCI_DEFAULT */
    virDomainControllerModelPCI models[VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST];
    /* where conventional devices live if the root bus has no slots for them:
     * the first of these that QEMU has, ending in ..._PCI_DEFAULT */
    virDomainControllerModelPCI housing[3];
    /* root buses, counting the one that is there */
    size_t rootsMax;
    /* model of controllers that fill a gap in the indexes */
    virDomainControllerModelPCI filler;

    /* the kind of slot that a PCI Express device is given */
    virDomainPCIConnectFlags expressSlot;
    /* how many free slots a guest without devices can have at most, so that
     * nobody has to plan to answer that: PCI Express with switches and
     * without, conventional with a pcie-to-pci-bridge and without. The suite
     * "domaincaps" holds them against what define accepts. */
    unsigned int expressMax[2];
    unsigned int conventionalMax[2];
    /* slots of the root bus are only hotpluggable with ACPI */
    bool rootHotplugNeedsACPI;
    /* devices of the root bus can be functions of one slot */
    bool sharesSlots;
    /* the firmware heeds the windows that controllers ask for (SeaBIOS, OVMF) */
    bool windows;
    /* keep host devices of different IOMMU groups on separate root buses */
    bool isolate;

    /* the host bridge that gives what is below it a NUMA node; ..._DEFAULT:
     * there is none */
    virDomainControllerModelPCI nodeHost;
    /* what tells the guest of that node; without it the guest has none */
    bool nodeNeedsACPI;
    bool nodeNeedsUEFI;
    /* the guest is not told of what is plugged in below it while it runs */
    bool nodeColdOnly;

    qemuPCISpare spare;
    qemuPCIVirtio virtio;

    qemuPCITelling withACPI;
    qemuPCITelling withoutACPI;
    qemuPCITelling belowExpander;
    /* machine types before this version, as major * 100 + minor, tell about all
     * slots as they do about those below an expander bus */
    unsigned int acpiPortsSince;
} qemuPCIPolicy;

const qemuPCIPolicy *
qemuPCIPolicyGet(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

const qemuPCIPolicy *
qemuPCIPolicyForMachine(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

void
qemuPCIPolicyFillRules(const qemuPCIPolicy *policy,
                       virQEMUCaps *qemuCaps,
                       virDomainPCIGrowthRules *rules)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(3);

unsigned int
qemuPCIPolicySlotsMax(const qemuPCIPolicy *policy,
                      const virDomainPCIGrowthRules *rules,
                      virDomainPCIConnectFlags slot)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
qemuPCIPolicyBusIsHotpluggable(const qemuPCIPolicy *policy,
                               const virDomainDef *def,
                               const virDomainControllerDef *cont)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

const char *
qemuPCIPolicyNodeProblem(const qemuPCIPolicy *policy,
                         const virDomainDef *def,
                         virQEMUCaps *qemuCaps,
                         bool later)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
qemuPCIPolicyIsUEFI(const virDomainDef *def)
    ATTRIBUTE_NONNULL(1);

const char *
qemuPCIPolicyTells(const qemuPCIPolicy *policy,
                   const virDomainDef *def,
                   const virDomainControllerDef *cont,
                   const virDomainControllerDef *host)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

virDomainPCIConnectFlags
qemuPCIPolicyVirtioSlot(const qemuPCIPolicy *policy,
                        virQEMUCaps *qemuCaps)
    ATTRIBUTE_NONNULL(1);

virDomainDeviceAddressType
qemuPCIPolicyVirtioAddressType(const qemuPCIPolicy *policy,
                               virQEMUCaps *qemuCaps,
                               const virDomainPreferences *prefs,
                               bool hasVirtioMMIO)
    ATTRIBUTE_NONNULL(1);

bool
qemuPCIPolicyHasSpareSlot(const qemuPCIPolicy *policy,
                          const virDomainPCIAddressSet *addrs)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
qemuPCIPolicyHasSparePort(const qemuPCIPolicy *policy,
                          const virDomainPreferences *prefs,
                          int maxIndexGiven,
                          size_t nbuses)
    ATTRIBUTE_NONNULL(1);

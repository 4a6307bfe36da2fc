/*
 * domain_pci_windows.h: address space that is kept for what is plugged in later
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "internal.h"
#include "virbuffer.h"
#include "virconftypes.h"
#include "virenum.h"
#include "virxml.h"

/* A bridge hands on three ranges of addresses (PCI-to-PCI Bridge Architecture
 * Specification 1.2, 3.2.5): the windows of what is behind it. */
typedef enum {
    VIR_DOMAIN_PCI_WINDOW_MEM = 0,
    VIR_DOMAIN_PCI_WINDOW_PREF64,
    VIR_DOMAIN_PCI_WINDOW_IO,

    VIR_DOMAIN_PCI_WINDOW_LAST
} virDomainPCIWindow;

VIR_ENUM_DECL(virDomainPCIWindow);

/* I/O windows begin and end at multiples of 4 KiB (PCI-to-PCI Bridge
 * Architecture Specification 1.2, 3.2.5.6) */
#define VIR_DOMAIN_PCI_IO_GRANULARITY 4

/* Windows that a controller has or a device needs. Those that are not given are
 * up to the firmware. */
typedef struct {
    bool given[VIR_DOMAIN_PCI_WINDOW_LAST];
    unsigned long long kib[VIR_DOMAIN_PCI_WINDOW_LAST]; /* 0 if not given */
} virDomainPCIWindows;

int
virDomainPCIWindowsParseXML(xmlNodePtr node,
                            virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIWindowsAny(const virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1);

bool
virDomainPCIWindowsEqual(const virDomainPCIWindows *a,
                         const virDomainPCIWindows *b)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIWindowsAdd(virDomainPCIWindows *sum,
                       const virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIWindowsMax(virDomainPCIWindows *max,
                       const virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIWindowsHold(const virDomainPCIWindows *windows,
                        const virDomainPCIWindows *taken,
                        const virDomainPCIWindows *each,
                        size_t n)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

void
virDomainPCIWindowsMultiply(virDomainPCIWindows *windows,
                            size_t n)
    ATTRIBUTE_NONNULL(1);

int
virDomainPCIWindowsCompare(const virDomainPCIWindows *a,
                           const virDomainPCIWindows *b,
                           bool io)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

const char *
virDomainPCIWindowsProblem(const virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1);

void
virDomainPCIWindowsGet(const virDomainPCIControllerOpts *opts,
                       virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

void
virDomainPCIWindowsSet(virDomainPCIControllerOpts *opts,
                       const virDomainPCIWindows *windows)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

bool
virDomainPCIWindowsCheckABIStability(const virDomainControllerDef *src,
                                     const virDomainControllerDef *dst)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2);

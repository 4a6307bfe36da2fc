/*
 * qemu_pci_answer.h: what a domain would become, and what is free in it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "qemu_conf.h"

bool
qemuPCIAnswerIsFormat(const char *format)
    ATTRIBUTE_NONNULL(1);

char *
qemuPCIAnswer(virQEMUDriver *driver,
              const char *format,
              const char *xml)
    ATTRIBUTE_NONNULL(1) ATTRIBUTE_NONNULL(2) ATTRIBUTE_NONNULL(3);

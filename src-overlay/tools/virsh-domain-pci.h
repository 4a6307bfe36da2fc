/*
 * virsh-domain-pci.h: show the PCI topology of a domain
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "virsh.h"

extern const vshCmdOptDef opts_dompci[];

/* vshCmdInfo became one struct instead of a list of names and values */
#if LIBVIR_VERSION_NUMBER >= 10004000
extern const vshCmdInfo info_dompci;
# define VIRSH_DOMPCI_INFO &info_dompci
#else
extern const vshCmdInfo info_dompci[];
# define VIRSH_DOMPCI_INFO info_dompci
#endif

bool
cmdDomPCI(vshControl *ctl,
          const vshCmd *cmd);

/* A file needs no connection; the handler asks for one when it does */
#define VIRSH_CMD_DOMPCI \
    { \
        .name = "dompci", \
        .handler = cmdDomPCI, \
        .opts = opts_dompci, \
        .info = VIRSH_DOMPCI_INFO, \
        .flags = VSH_CMD_FLAG_NOCONNECT \
    }

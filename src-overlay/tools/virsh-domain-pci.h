/*
 * virsh-domain-pci.h: show the PCI topology of a domain
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "virsh.h"

extern const vshCmdOptDef opts_dompci[];

extern VSH_CMD_INFO(info_dompci);

bool
cmdDomPCI(vshControl *ctl,
          const vshCmd *cmd);

/* A file needs no connection; the handler asks for one when it does */
#define VIRSH_CMD_DOMPCI \
    { \
        .name = "dompci", \
        .handler = cmdDomPCI, \
        .opts = opts_dompci, \
        .info = VSH_CMD_INFO_REF(info_dompci), \
        .flags = VSH_CMD_FLAG_NOCONNECT \
    }

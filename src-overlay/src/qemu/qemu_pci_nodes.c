/*
 * qemu_pci_nodes.c: devices and free slots near the memory of a NUMA node
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether a guest can have them, and where a device of the host belongs: to the
 * cell of the guest whose memory comes from the NUMA node of the host that the
 * device is near to.
 */

#include <config.h>

#include "qemu_pci_nodes.h"
#include "domain_pci_request.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virpci.h"

#define VIR_FROM_THIS VIR_FROM_QEMU

VIR_LOG_INIT("qemu.qemu_pci_nodes");


/**
 * qemuPCINodesProblem:
 * @def: domain definition
 * @policy: row of its machine
 * @qemuCaps: capabilities of the QEMU binary
 * @node: NUMA node of the guest that is asked for
 * @later: for devices that come while the guest runs
 *
 * Returns: why that cannot be, or NULL
 */
const char *
qemuPCINodesProblem(const virDomainDef *def,
                    const qemuPCIPolicy *policy,
                    virQEMUCaps *qemuCaps,
                    int node,
                    bool later)
{
    const char *problem = qemuPCIPolicyNodeProblem(policy, def, qemuCaps, later);

    if (!problem && node >= (int)virDomainNumaGetNodeCount(def->numa))
        problem = _("the guest has no NUMA cell with the id of 'node'");

    return problem;
}


static int
qemuPCINodesAskedIter(virDomainDef *def G_GNUC_UNUSED,
                      virDomainDeviceDef *dev G_GNUC_UNUSED,
                      virDomainDeviceInfo *info,
                      void *opaque G_GNUC_UNUSED)
{
    return info->pciHints.hasNode ? -1 : 0;
}


/**
 * qemuPCINodesAreAsked:
 * @def: domain definition
 *
 * Returns: true if a device or a preference of @def has a 'node', or asks for a
 *          host bridge of its own
 */
bool
qemuPCINodesAreAsked(virDomainDef *def)
{
    const virDomainPreferences *prefs = def->preferences;
    size_t i;

    for (i = 0; prefs && i < prefs->nslots; i++) {
        if (prefs->slots[i].node >= 0)
            return true;
    }

    for (i = 0; prefs && i < prefs->ngroups; i++) {
        if (prefs->groups[i].node >= 0 || prefs->groups[i].share == VIR_DOMAIN_PCI_GROUP_ROOT)
            return true;
    }

    return virDomainDeviceInfoIterate(def, qemuPCINodesAskedIter, NULL) < 0;
}


/* The NUMA node of the host that a device of it is near to, -1: none */
static int
qemuPCINodesReadHost(const virDomainHostdevDef *hostdev)
{
    virPCIDeviceAddress addr = hostdev->source.subsys.u.pci.addr;
    g_autofree char *path = NULL;
    int node = -1;

    if (virPCIDeviceAddressGetSysfsFile(&addr, &path) < 0 ||
        virFileReadValueInt(&node, "%s/numa_node", path) < 0)
        virResetLastError();

    return MAX(node, -1);
}


/**
 * qemuPCINodesFindHostdev:
 * @def: domain definition
 * @hostdev: a device of the host that is, or is to be, part of it
 * @node: set to the NUMA node of the guest whose memory is near to @hostdev, -1
 *        if there is none or this is not asked for
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported if there
 *          are several
 */
int
qemuPCINodesFindHostdev(const virDomainDef *def,
                        const virDomainHostdevDef *hostdev,
                        int *node)
{
    g_autofree char *name = NULL;
    int host;
    size_t i;

    *node = -1;

    if (!virDomainPreferencesGiven(def->preferences, VIR_DOMAIN_PREFERENCE_HOSTDEV_PLACEMENT) ||
        hostdev->mode != VIR_DOMAIN_HOSTDEV_MODE_SUBSYS ||
        hostdev->source.subsys.type != VIR_DOMAIN_HOSTDEV_SUBSYS_TYPE_PCI ||
        (host = qemuPCINodesReadHost(hostdev)) < 0)
        return 0;

    for (i = 0; i < virDomainNumaGetNodeCount(def->numa); i++) {
        virBitmap *nodeset = virDomainNumatuneGetNodeset(def->numa, NULL, i);

        if (!nodeset || !virBitmapIsBitSet(nodeset, host))
            continue;

        if (*node >= 0) {
            name = virPCIDeviceAddressAsString(&hostdev->source.subsys.u.pci.addr);
            virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
                           _("preference 'hostdevPlacement' cannot place host device %1$s: the memory of NUMA cells %2$d and %3$zu comes from node %4$d of the host; give its <address> a 'node'"),
                           name, *node, i, host);
            return -1;
        }

        *node = i;
    }

    return 0;
}


/**
 * qemuPCINodesPlaceHostdevs:
 * @def: new domain definition
 *
 * Gives devices of the host that have no address and no group yet the 'node' of the cell
 * that they are near to, so that no later step has to look at the host.
 *
 * Returns: 0 on success, -1 with VIR_ERR_CONFIG_UNSUPPORTED reported
 */
int
qemuPCINodesPlaceHostdevs(virDomainDef *def)
{
    size_t i;

    for (i = 0; i < def->nhostdevs; i++) {
        virDomainDeviceInfo *info = def->hostdevs[i]->info;
        int node;

        if (!virDeviceInfoPCIAddressIsWanted(info) || info->pciHints.hasNode ||
            info->pciHints.group ||
            info->pciHints.hotpluggable == VIR_TRISTATE_BOOL_NO)
            continue;

        if (qemuPCINodesFindHostdev(def, def->hostdevs[i], &node) < 0)
            return -1;

        if (node >= 0) {
            VIR_DEBUG("Host device %zu is placed near NUMA cell %d", i, node);
            info->type = VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI;
            info->pciHints.hasNode = true;
            info->pciHints.node = node;
        }
    }

    return 0;
}

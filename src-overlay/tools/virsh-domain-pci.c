/*
 * virsh-domain-pci.c: show the PCI topology of a domain
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Everything is read from domain XML that any daemon can give. What a PCI
 * controller model offers to devices is asked of
 * virDomainPCIAddressBusSetModel(), so that free slots are counted as the
 * hypervisor driver counts them.
 */

#include <config.h>
#include "virsh-domain-pci.h"
#include "virsh-util.h"

#include "conf/domain_addr.h"
#include "internal.h"
#include "viralloc.h"
#include "virbuffer.h"
#include "virenum.h"
#include "virfile.h"
#include "virjson.h"
#include "virstring.h"
#include "virxml.h"
#include "vsh-table.h"

#define FUNCTIONS (VIR_PCI_ADDRESS_FUNCTION_LAST + 1)
#define SLOTS (VIR_PCI_ADDRESS_SLOT_LAST + 1)
#define BUSES 256

typedef enum {
    VIRSH_DOMPCI_FORMAT_TREE,
    VIRSH_DOMPCI_FORMAT_TABLE,
    VIRSH_DOMPCI_FORMAT_JSON,
    VIRSH_DOMPCI_FORMAT_DOT,

    VIRSH_DOMPCI_FORMAT_LAST
} virshDomPCIFormat;

VIR_ENUM_DECL(virshDomPCIFormat);
VIR_ENUM_IMPL(virshDomPCIFormat,
              VIRSH_DOMPCI_FORMAT_LAST,
              "tree",
              "table",
              "json",
              "dot",
);

/* Kinds of free slots that are counted apart */
typedef enum {
    VIRSH_DOMPCI_CLASS_PCIE,
    VIRSH_DOMPCI_CLASS_PCI,

    VIRSH_DOMPCI_CLASS_LAST
} virshDomPCIClass;

VIR_ENUM_DECL(virshDomPCIClass);
VIR_ENUM_IMPL(virshDomPCIClass,
              VIRSH_DOMPCI_CLASS_LAST,
              "pcie",
              "conventional",
);

/* The preference that asks for free slots of a class */
static const char *virshDomPCIPreference[VIRSH_DOMPCI_CLASS_LAST] = {
    "pcieHotplugSlots",
    "pciHotplugSlots",
};

/* What can be said about the place of a device on its <address> */
static const char *virshDomPCIHints[] = {
    "hotpluggable",
    "busHint",
    "preferredConnection",
};

typedef struct {
    char *type;         /* name of the XML element, or "chipset" */
    char *subtype;      /* controllers, hostdevs, inputs: their type or bus */
    char *model;
    char *target;       /* what a person knows the device by */
    char *mac;
    char *alias;
    char *hints[G_N_ELEMENTS(virshDomPCIHints)];
    virPCIDeviceAddress addr;
    bool placed;        /* @addr is known */
    bool added;         /* planned; not in the XML that the user gave */

    /* PCI controllers only */
    bool isController;
    int pciModel;       /* virDomainControllerModelPCI, -1: unknown */
    unsigned int idx;
    bool indexed;       /* @idx is known */
    bool hotplugOff;
    char *busNr;
    char *node;
    char *targetIndex;
} virshDomPCIDevice;

typedef struct {
    virshDomPCIDevice *dev;             /* the controller that provides it */
    virDomainPCIAddressBus bus;
    virshDomPCIDevice *fn[SLOTS][FUNCTIONS];
    bool isolated;      /* slots are kept for one host IOMMU group */
    bool loose;         /* the bus leads to no root */
    bool shown;
} virshDomPCIBus;

typedef struct {
    char *name;
    char *arch;
    char *machine;
    bool planned;
    bool plannable;     /* a file; define may still complete it */
    bool inexact;       /* the daemon does not tell where NICs would go */
    GPtrArray *devices;         /* virshDomPCIDevice, in the order of the XML */
    GPtrArray *astray;          /* those that are on no bus; not owned */
    virshDomPCIBus *buses[BUSES];
    GPtrArray *prefs;           /* name, value, name, value, ... */
    unsigned int free[VIRSH_DOMPCI_CLASS_LAST];
    bool asks[VIRSH_DOMPCI_CLASS_LAST];
    unsigned int asked[VIRSH_DOMPCI_CLASS_LAST];
} virshDomPCI;


static void
virshDomPCIDeviceFree(void *opaque)
{
    virshDomPCIDevice *dev = opaque;
    size_t i;

    g_free(dev->type);
    g_free(dev->subtype);
    g_free(dev->model);
    g_free(dev->target);
    g_free(dev->mac);
    g_free(dev->alias);
    for (i = 0; i < G_N_ELEMENTS(dev->hints); i++)
        g_free(dev->hints[i]);
    g_free(dev->busNr);
    g_free(dev->node);
    g_free(dev->targetIndex);
    g_free(dev);
}


static void
virshDomPCIFree(virshDomPCI *pci)
{
    size_t i;

    if (!pci)
        return;

    g_free(pci->name);
    g_free(pci->arch);
    g_free(pci->machine);
    for (i = 0; i < BUSES; i++)
        g_free(pci->buses[i]);
    g_ptr_array_unref(pci->astray);
    g_ptr_array_unref(pci->devices);
    g_ptr_array_unref(pci->prefs);
    g_free(pci);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virshDomPCI, virshDomPCIFree);


/* -- reading XML --------------------------------------------------------- */

static xmlNodePtr
virshDomPCIChild(xmlNodePtr node,
                 const char *name)
{
    xmlNodePtr child;

    for (child = node ? node->children : NULL; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && virXMLNodeNameEqual(child, name))
            return child;
    }

    return NULL;
}


/* attribute @attr of the child @name of @node, or NULL */
static char *
virshDomPCIChildProp(xmlNodePtr node,
                     const char *name,
                     const char *attr)
{
    xmlNodePtr child = virshDomPCIChild(node, name);

    return child ? virXMLPropString(child, attr) : NULL;
}


static bool
virshDomPCIPropIs(xmlNodePtr node,
                  const char *attr,
                  const char *value)
{
    g_autofree char *prop = virXMLPropString(node, attr);

    return STREQ_NULLABLE(prop, value);
}


static bool
virshDomPCIIsPCIController(xmlNodePtr node)
{
    return virXMLNodeNameEqual(node, "controller") &&
        virshDomPCIPropIs(node, "type", "pci");
}


static int
virshDomPCIModelFromString(const char *name)
{
    int model;

    for (model = 0; model < VIR_DOMAIN_CONTROLLER_MODEL_PCI_LAST; model++) {
        if (STREQ_NULLABLE(name, virDomainControllerModelPCITypeToString(model)))
            return model;
    }

    return -1;
}


static bool
virshDomPCIModelIsRoot(int model)
{
    return model == VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT ||
        model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT;
}


/* What a person calls a device, and what kind it is, is said in another place
 * for nearly each kind of device. */
static void
virshDomPCIDeviceDescribe(virshDomPCIDevice *dev,
                          xmlNodePtr node)
{
    dev->type = g_strdup((const char *) node->name);
    dev->model = virXMLPropString(node, "model");

    if (STREQ(dev->type, "controller")) {
        g_autofree char *idx = virXMLPropString(node, "index");

        dev->subtype = virXMLPropString(node, "type");
        if (idx)
            dev->target = g_steal_pointer(&idx);
    } else if (STREQ(dev->type, "disk")) {
        dev->target = virshDomPCIChildProp(node, "target", "dev");
        if (!dev->model)
            dev->model = virshDomPCIChildProp(node, "target", "bus");
    } else if (STREQ(dev->type, "interface")) {
        dev->target = virshDomPCIChildProp(node, "target", "dev");
        dev->mac = virshDomPCIChildProp(node, "mac", "address");
        dev->model = virshDomPCIChildProp(node, "model", "type");
        if (virshDomPCIPropIs(node, "type", "hostdev"))
            dev->subtype = g_strdup("hostdev");
    } else if (STREQ(dev->type, "filesystem")) {
        dev->target = virshDomPCIChildProp(node, "target", "dir");
        if (!dev->model)
            dev->model = virshDomPCIChildProp(node, "driver", "type");
    } else if (STREQ(dev->type, "hostdev")) {
        xmlNodePtr source = virshDomPCIChild(node, "source");
        xmlNodePtr host = virshDomPCIChild(source, "address");
        virPCIDeviceAddress addr = { 0 };

        dev->subtype = virXMLPropString(node, "type");
        if (host && STREQ_NULLABLE(dev->subtype, "mdev")) {
            dev->target = virXMLPropString(host, "uuid");
        } else if (host && STREQ_NULLABLE(dev->subtype, "pci") &&
                   virPCIDeviceAddressParseXML(host, &addr) == 0) {
            dev->target = g_strdup_printf("%04x:%02x:%02x.%x", addr.domain,
                                          addr.bus, addr.slot, addr.function);
        }
    } else if (STREQ(dev->type, "input")) {
        dev->subtype = virXMLPropString(node, "type");
        if (!dev->model)
            dev->model = virXMLPropString(node, "bus");
    } else if (STREQ(dev->type, "shmem")) {
        dev->target = virXMLPropString(node, "name");
        dev->model = virshDomPCIChildProp(node, "model", "type");
    } else if (STREQ(dev->type, "serial")) {
        dev->model = virshDomPCIChildProp(node, "target", "type");
        dev->target = virshDomPCIChildProp(node, "target", "port");
    } else if (STREQ(dev->type, "vsock")) {
        dev->target = virshDomPCIChildProp(node, "cid", "address");
    } else if (!dev->model) {
        dev->model = virshDomPCIChildProp(node, "model", "type");
    }

    dev->alias = virshDomPCIChildProp(node, "alias", "name");
}


static int
virshDomPCIDeviceParseController(virshDomPCIDevice *dev,
                                 xmlNodePtr node)
{
    g_autofree char *hotplug = virshDomPCIChildProp(node, "target", "hotplug");
    xmlNodePtr target = virshDomPCIChild(node, "target");
    xmlNodePtr numa = virshDomPCIChild(target, "node");

    dev->isController = true;
    dev->pciModel = virshDomPCIModelFromString(dev->model);
    dev->hotplugOff = STREQ_NULLABLE(hotplug, "off");
    dev->busNr = virshDomPCIChildProp(node, "target", "busNr");
    dev->targetIndex = virshDomPCIChildProp(node, "target", "index");
    if (numa)
        dev->node = (char *) xmlNodeGetContent(numa);

    if (dev->target) {
        if (virStrToLong_uip(dev->target, NULL, 10, &dev->idx) < 0)
            return -1;
        dev->indexed = true;
    } else if (virshDomPCIModelIsRoot(dev->pciModel)) {
        /* the only one whose index need not be looked for */
        dev->indexed = true;
    }

    return 0;
}


/* Whether a device without any address usually sits on a PCI bus. Only asked
 * about guests that have one; what a machine really does, only the driver
 * knows. */
static bool
virshDomPCIDeviceWantsPCI(virshDomPCIDevice *dev)
{
    bool virtio = dev->model && STRPREFIX(dev->model, "virtio");

    if (STREQ(dev->type, "disk") || STREQ(dev->type, "rng") ||
        STREQ(dev->type, "memballoon") || STREQ(dev->type, "vsock") ||
        STREQ(dev->type, "input") || STREQ(dev->type, "memory") ||
        STREQ(dev->type, "iommu"))
        return virtio;
    if (STREQ(dev->type, "controller")) {
        if (dev->isController)
            return !virshDomPCIModelIsRoot(dev->pciModel);
        if (STREQ_NULLABLE(dev->model, "none"))
            return false;
        return STREQ_NULLABLE(dev->subtype, "usb") ||
            STREQ_NULLABLE(dev->subtype, "scsi") ||
            STREQ_NULLABLE(dev->subtype, "virtio-serial");
    }
    if (STREQ(dev->type, "hostdev"))
        return STREQ_NULLABLE(dev->subtype, "pci") ||
            STREQ_NULLABLE(dev->subtype, "mdev");
    if (STREQ(dev->type, "video"))
        return STRNEQ_NULLABLE(dev->model, "none") &&
            STRNEQ_NULLABLE(dev->model, "ramfb");
    if (STREQ(dev->type, "sound"))
        return STRNEQ_NULLABLE(dev->model, "sb16") &&
            STRNEQ_NULLABLE(dev->model, "pcspk") &&
            STRNEQ_NULLABLE(dev->model, "usb");
    if (STREQ(dev->type, "watchdog"))
        return STREQ_NULLABLE(dev->model, "i6300esb");

    return STREQ(dev->type, "interface") || STREQ(dev->type, "filesystem") ||
        STREQ(dev->type, "shmem");
}


static int
virshDomPCIParseDevice(virshDomPCI *pci,
                       xmlNodePtr node)
{
    g_autofree char *type = NULL;
    xmlNodePtr address = virshDomPCIChild(node, "address");
    virshDomPCIDevice *dev = NULL;
    size_t i;

    if (address && !(type = virXMLPropString(address, "type")))
        return 0;

    /* on another bus */
    if (type && STRNEQ(type, "pci"))
        return 0;

    dev = g_new0(virshDomPCIDevice, 1);
    g_ptr_array_add(pci->devices, dev);
    virshDomPCIDeviceDescribe(dev, node);
    dev->added = virshDomPCIPropIs(node, "dompci", "added");

    if (virshDomPCIIsPCIController(node) &&
        virshDomPCIDeviceParseController(dev, node) < 0)
        return -1;

    if (address) {
        for (i = 0; i < G_N_ELEMENTS(virshDomPCIHints); i++)
            dev->hints[i] = virXMLPropString(address, virshDomPCIHints[i]);
        if (virPCIDeviceAddressParseXML(address, &dev->addr) < 0)
            return -1;
        dev->placed = !virPCIDeviceAddressIsEmpty(&dev->addr);
    } else if (!dev->isController && !virshDomPCIDeviceWantsPCI(dev)) {
        g_ptr_array_remove_index(pci->devices, pci->devices->len - 1);
    }

    return 0;
}


/* -- what is where ------------------------------------------------------- */

static virshDomPCIBus *
virshDomPCIGetBus(virshDomPCI *pci,
                  unsigned int idx)
{
    return idx < BUSES ? pci->buses[idx] : NULL;
}


static bool
virshDomPCIIsX86(virshDomPCI *pci)
{
    return STREQ_NULLABLE(pci->arch, "x86_64") ||
        STREQ_NULLABLE(pci->arch, "i686");
}


static bool
virshDomPCIIsPSeries(virshDomPCI *pci)
{
    return pci->arch && STRPREFIX(pci->arch, "ppc64") &&
        (!pci->machine || STRPREFIX(pci->machine, "pseries"));
}


/* Whether devices can be plugged into the slots of @bus while the guest runs */
static bool
virshDomPCIBusHotplugs(const virshDomPCIBus *bus)
{
    return !bus->loose &&
        bus->bus.flags & VIR_PCI_CONNECT_HOTPLUGGABLE &&
        bus->bus.flags & VIR_PCI_CONNECT_TYPES_ENDPOINT;
}


static virshDomPCIClass
virshDomPCIBusClass(const virshDomPCIBus *bus)
{
    return bus->bus.flags & VIR_PCI_CONNECT_TYPE_PCIE_DEVICE ?
        VIRSH_DOMPCI_CLASS_PCIE : VIRSH_DOMPCI_CLASS_PCI;
}


static bool
virshDomPCISlotIsFree(const virshDomPCIBus *bus,
                      size_t slot)
{
    return slot >= bus->bus.minSlot && slot <= bus->bus.maxSlot &&
        bus->bus.slot[slot].functions == 0;
}


static unsigned int
virshDomPCIBusCountFree(const virshDomPCIBus *bus)
{
    unsigned int count = 0;
    size_t slot;

    for (slot = bus->bus.minSlot; slot <= bus->bus.maxSlot; slot++)
        count += virshDomPCISlotIsFree(bus, slot);

    return count;
}


/* Whether @dev sits in a slot of @bus where it could be unplugged */
static bool
virshDomPCIDeviceHotplugs(const virshDomPCIDevice *dev,
                          const virshDomPCIBus *bus)
{
    return bus && virshDomPCIBusHotplugs(bus) && STRNEQ(dev->type, "chipset");
}


/* A slot counts if a device can be plugged into it */
static bool
virshDomPCIBusCounts(const virshDomPCIBus *bus)
{
    return virshDomPCIBusHotplugs(bus) && !bus->isolated;
}


/* XML that no driver has seen may have controllers in a circle. */
static bool
virshDomPCIBusIsLoose(virshDomPCI *pci,
                      virshDomPCIBus *bus)
{
    size_t steps;

    for (steps = 0; bus && steps < BUSES; steps++) {
        virshDomPCIDevice *dev = bus->dev;

        if (virshDomPCIModelIsRoot(dev->pciModel))
            return false;
        if (!dev->placed || dev->addr.domain != 0)
            return true;
        bus = virshDomPCIGetBus(pci, dev->addr.bus);
        if (bus && bus->fn[dev->addr.slot][dev->addr.function] != dev)
            return true;
    }

    return true;
}


static void
virshDomPCIAddChipset(virshDomPCI *pci,
                      size_t slot,
                      size_t function,
                      const char *what)
{
    virshDomPCIBus *bus = pci->buses[0];
    virshDomPCIDevice *dev = NULL;

    if (bus->fn[slot][function])
        return;

    dev = g_new0(virshDomPCIDevice, 1);
    dev->type = g_strdup("chipset");
    dev->model = g_strdup(what);
    dev->placed = true;
    dev->addr.slot = slot;
    dev->addr.function = function;
    g_ptr_array_add(pci->devices, dev);
    bus->fn[slot][function] = dev;
    bus->bus.slot[slot].functions |= 1 << function;
}


/* What QEMU machines have built in, and no XML speaks of */
static void
virshDomPCIAddChipsets(virshDomPCI *pci,
                       bool acpi)
{
    int model;

    if (!pci->buses[0])
        return;

    model = pci->buses[0]->dev->pciModel;

    if (model == VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT) {
        virshDomPCIAddChipset(pci, 0, 0, "host bridge");
        if (virshDomPCIIsX86(pci)) {
            virshDomPCIAddChipset(pci, 0x1f, 0, "ISA bridge");
            virshDomPCIAddChipset(pci, 0x1f, 2, "SATA");
            virshDomPCIAddChipset(pci, 0x1f, 3, "SMBus");
        }
    } else if (virshDomPCIIsX86(pci)) {
        virshDomPCIAddChipset(pci, 0, 0, "host bridge");
        virshDomPCIAddChipset(pci, 1, 0, "ISA bridge");
        virshDomPCIAddChipset(pci, 1, 1, "IDE");
        if (acpi)
            virshDomPCIAddChipset(pci, 1, 3, "power management");
    }
}


static int
virshDomPCIBuild(virshDomPCI *pci,
                 bool qemu,
                 bool acpi)
{
    size_t i;

    for (i = 0; i < pci->devices->len; i++) {
        virshDomPCIDevice *dev = g_ptr_array_index(pci->devices, i);
        virshDomPCIBus *bus = NULL;
        bool hotplug = !dev->hotplugOff;

        if (!dev->isController || !dev->indexed || dev->idx >= BUSES ||
            dev->pciModel < 0 || pci->buses[dev->idx])
            continue;

        /* "Bus 'pci.0' does not support hotplugging", says QEMU then: i440fx
         * has hotplug through ACPI only, and the bus of a pxb device has none */
        if (qemu &&
            (dev->pciModel == VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS ||
             (dev->pciModel == VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT &&
              virshDomPCIIsX86(pci) && !acpi)))
            hotplug = false;

        bus = g_new0(virshDomPCIBus, 1);
        bus->dev = dev;
        pci->buses[dev->idx] = bus;
        if (virDomainPCIAddressBusSetModel(&bus->bus, dev->pciModel, hotplug) < 0)
            return -1;
    }

    for (i = 0; i < pci->devices->len; i++) {
        virshDomPCIDevice *dev = g_ptr_array_index(pci->devices, i);
        virshDomPCIBus *bus = NULL;
        size_t slot = dev->addr.slot;

        if (dev->isController && virshDomPCIModelIsRoot(dev->pciModel) &&
            virshDomPCIGetBus(pci, dev->idx) &&
            pci->buses[dev->idx]->dev == dev)
            continue;

        if (!dev->placed || dev->addr.domain != 0 ||
            !(bus = virshDomPCIGetBus(pci, dev->addr.bus)) ||
            bus->fn[slot][dev->addr.function] ||
            (dev->isController &&
             (!virshDomPCIGetBus(pci, dev->idx) ||
              pci->buses[dev->idx]->dev != dev))) {
            g_ptr_array_add(pci->astray, dev);
            continue;
        }

        bus->fn[slot][dev->addr.function] = dev;
        bus->bus.slot[slot].functions |= 1 << dev->addr.function;

        /* PHBs that hold a host device take only devices of its IOMMU group;
         * the first one holds whatever has no other place */
        if (virshDomPCIIsPSeries(pci) && dev->addr.bus > 0 &&
            bus->dev->pciModel == VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT &&
            (STREQ(dev->type, "hostdev") ||
             STREQ_NULLABLE(dev->subtype, "hostdev")))
            bus->isolated = true;
    }

    if (qemu)
        virshDomPCIAddChipsets(pci, acpi);

    for (i = 0; i < BUSES; i++) {
        virshDomPCIBus *bus = pci->buses[i];

        if (!bus)
            continue;
        bus->loose = virshDomPCIBusIsLoose(pci, bus);
        if (virshDomPCIBusCounts(bus))
            pci->free[virshDomPCIBusClass(bus)] += virshDomPCIBusCountFree(bus);
    }

    return 0;
}


static void
virshDomPCIParsePreferences(virshDomPCI *pci,
                            xmlNodePtr root)
{
    xmlNodePtr node = virshDomPCIChild(root, "preferences");

    for (node = node ? node->children : NULL; node; node = node->next) {
        g_autofree char *name = NULL;
        g_autofree char *value = NULL;
        size_t i;

        if (node->type != XML_ELEMENT_NODE ||
            !virXMLNodeNameEqual(node, "preference") ||
            !(name = virXMLPropString(node, "name")) ||
            !(value = virXMLPropString(node, "value")))
            continue;

        for (i = 0; i < VIRSH_DOMPCI_CLASS_LAST; i++) {
            if (STREQ(name, virshDomPCIPreference[i]) &&
                virStrToLong_uip(value, NULL, 10, &pci->asked[i]) == 0)
                pci->asks[i] = true;
        }

        g_ptr_array_add(pci->prefs, g_steal_pointer(&name));
        g_ptr_array_add(pci->prefs, g_steal_pointer(&value));
    }
}


static virshDomPCI *
virshDomPCIParse(xmlDocPtr xml)
{
    g_autoptr(virshDomPCI) pci = g_new0(virshDomPCI, 1);
    g_autofree char *virt = NULL;
    xmlNodePtr root = xmlDocGetRootElement(xml);
    xmlNodePtr name = virshDomPCIChild(root, "name");
    xmlNodePtr os = virshDomPCIChild(root, "os");
    xmlNodePtr node = virshDomPCIChild(root, "devices");
    bool acpi = virshDomPCIChild(virshDomPCIChild(root, "features"), "acpi");

    pci->devices = g_ptr_array_new_with_free_func(virshDomPCIDeviceFree);
    pci->astray = g_ptr_array_new();
    pci->prefs = g_ptr_array_new_with_free_func(g_free);
    if (name)
        pci->name = (char *) xmlNodeGetContent(name);
    pci->arch = virshDomPCIChildProp(os, "type", "arch");
    pci->machine = virshDomPCIChildProp(os, "type", "machine");
    virt = virXMLPropString(root, "type");

    virshDomPCIParsePreferences(pci, root);

    for (node = node ? node->children : NULL; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE &&
            virshDomPCIParseDevice(pci, node) < 0)
            return NULL;
    }

    if (virshDomPCIBuild(pci,
                         STREQ_NULLABLE(virt, "qemu") ||
                         STREQ_NULLABLE(virt, "kvm") ||
                         STREQ_NULLABLE(virt, "hvf"),
                         acpi) < 0)
        return NULL;

    return g_steal_pointer(&pci);
}


/* -- planning ------------------------------------------------------------
 *
 * No API completes a definition without defining it. The command line that
 * virConnectDomainXMLToNative() makes of it, however, has every device at the
 * place where a definition would have it.
 */

/* PCI controllers by the names of their QEMU devices */
static const struct {
    const char *driver;
    virDomainControllerModelPCI model;
} virshDomPCIDrivers[] = {
    { "pci-bridge", VIR_DOMAIN_CONTROLLER_MODEL_PCI_BRIDGE },
    { "i82801b11-bridge", VIR_DOMAIN_CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE },
    { "ioh3420", VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT },
    { "pcie-root-port", VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT_PORT },
    { "x3130-upstream", VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT },
    { "xio3130-downstream", VIR_DOMAIN_CONTROLLER_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT },
    { "pxb", VIR_DOMAIN_CONTROLLER_MODEL_PCI_EXPANDER_BUS },
    { "pxb-pcie", VIR_DOMAIN_CONTROLLER_MODEL_PCIE_EXPANDER_BUS },
    { "spapr-pci-host-bridge", VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT },
    { "pcie-pci-bridge", VIR_DOMAIN_CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE },
};

/* Devices that a definition may gain, by the names of their QEMU devices (or
 * how these begin, so a longer one comes first) */
static const struct {
    const char *driver;
    const char *type;
    const char *subtype;
    const char *model;
} virshDomPCIAddable[] = {
    { "virtio-serial", "controller", "virtio-serial", NULL },
    { "virtio-scsi", "controller", "scsi", "virtio-scsi" },
    { "spapr-vscsi", "controller", "scsi", "ibmvscsi" },
    { "lsi", "controller", "scsi", "lsilogic" },
    { "qemu-xhci", "controller", "usb", "qemu-xhci" },
    { "nec-usb-xhci", "controller", "usb", "nec-xhci" },
    { "pci-ohci", "controller", "usb", "pci-ohci" },
    { "piix3-usb-uhci", "controller", "usb", "piix3-uhci" },
    { "piix4-usb-uhci", "controller", "usb", "piix4-uhci" },
    { "usb-ehci", "controller", "usb", "ehci" },
    { "ich9-usb-ehci1", "controller", "usb", "ich9-ehci1" },
    { "ich9-usb-uhci1", "controller", "usb", "ich9-uhci1" },
    { "ich9-usb-uhci2", "controller", "usb", "ich9-uhci2" },
    { "ich9-usb-uhci3", "controller", "usb", "ich9-uhci3" },
    { "ich9-ahci", "controller", "sata", NULL },
    { "virtio-balloon", "memballoon", NULL, "virtio" },
    { "cirrus-vga", "video", NULL, "cirrus" },
    { "VGA", "video", NULL, "vga" },
    { "qxl", "video", NULL, "qxl" },
    { "bochs-display", "video", NULL, "bochs" },
    { "virtio-vga", "video", NULL, "virtio" },
    { "virtio-gpu", "video", NULL, "virtio" },
};

/* Elements that can have both a PCI address and an alias */
static const char *virshDomPCIAliased[] = {
    "controller", "crypto", "disk", "filesystem", "hostdev", "input",
    "interface", "iommu", "memballoon", "memory", "panic", "rng", "serial",
    "shmem", "sound", "video", "vsock", "watchdog",
};


static void
virshDomPCIRemove(xmlNodePtr node)
{
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}


static void
virshDomPCISetProp(xmlNodePtr node,
                   const char *name,
                   const char *fmt,
                   ...) G_GNUC_PRINTF(3, 4);
static void
virshDomPCISetProp(xmlNodePtr node,
                   const char *name,
                   const char *fmt,
                   ...)
{
    g_autofree char *value = NULL;
    va_list ap;

    va_start(ap, fmt);
    value = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    xmlSetProp(node, BAD_CAST name, BAD_CAST value);
}


static bool
virshDomPCIPlanTakesAlias(xmlNodePtr node)
{
    size_t i;

    if (node->type != XML_ELEMENT_NODE)
        return false;

    for (i = 0; i < G_N_ELEMENTS(virshDomPCIAliased); i++) {
        if (virXMLNodeNameEqual(node, virshDomPCIAliased[i]))
            return true;
    }

    return false;
}


/* Gives each device in @devices an alias, and notes in @known which device has
 * which, in @ours the elements that the user did not write. */
static void
virshDomPCIPlanMark(xmlNodePtr devices,
                    GHashTable *known,
                    GHashTable *ours)
{
    size_t n = 0;
    xmlNodePtr node;

    for (node = devices->children; node; node = node->next) {
        xmlNodePtr alias = virshDomPCIChild(node, "alias");
        g_autofree char *name = NULL;

        if (!alias || !virshDomPCIPlanTakesAlias(node))
            continue;

        name = virXMLPropString(alias, "name");
        if (name && STRPREFIX(name, "ua-"))
            g_hash_table_insert(known, g_steal_pointer(&name), node);
        else
            virshDomPCIRemove(alias);
    }

    for (node = devices->children; node; node = node->next) {
        g_autofree char *name = NULL;
        xmlNodePtr alias;

        if (!virshDomPCIPlanTakesAlias(node) ||
            virshDomPCIIsPCIController(node) ||
            virshDomPCIChild(node, "alias"))
            continue;

        do {
            g_free(name);
            name = g_strdup_printf("ua-dompci-%zu", n++);
        } while (g_hash_table_contains(known, name));

        alias = xmlNewChild(node, NULL, BAD_CAST "alias", NULL);
        xmlSetProp(alias, BAD_CAST "name", BAD_CAST name);
        g_hash_table_add(ours, alias);
        g_hash_table_insert(known, g_steal_pointer(&name), node);
    }
}


/* How a host device is handed over is settled when the guest starts, and
 * without that no command line can be made. */
static void
virshDomPCIPlanHandOver(xmlNodePtr hostdev)
{
    xmlNodePtr handover;

    if (!virshDomPCIPropIs(hostdev, "type", "pci") ||
        virshDomPCIChild(hostdev, "driver"))
        return;

    handover = xmlNewChild(hostdev, NULL, BAD_CAST "driver", NULL);
    xmlSetProp(handover, BAD_CAST "name", BAD_CAST "vfio");
}


/* The driver would open what network interfaces need on the host, but all
 * that matters is their model. */
static void
virshDomPCIPlanStandIns(xmlNodePtr devices)
{
    xmlNodePtr hostdevs = NULL;
    xmlNodePtr node;
    xmlNodePtr next;

    for (node = devices ? devices->children : NULL; node; node = next) {
        bool hostdev = virshDomPCIPropIs(node, "type", "hostdev");
        xmlNodePtr child;
        xmlNodePtr after;

        next = node->next;

        if (node->type != XML_ELEMENT_NODE)
            continue;

        /* PCI controllers are told apart by their index, which is part of the
         * alias that they have without our doing. */
        if (virshDomPCIIsPCIController(node) &&
            (child = virshDomPCIChild(node, "alias")))
            virshDomPCIRemove(child);

        if (virXMLNodeNameEqual(node, "hostdev"))
            virshDomPCIPlanHandOver(node);

        if (!virXMLNodeNameEqual(node, "interface"))
            continue;

        for (child = node->children; child; child = after) {
            after = child->next;

            if (child->type == XML_ELEMENT_NODE &&
                (virXMLNodeNameEqual(child, "alias") ||
                 virXMLNodeNameEqual(child, "address") ||
                 virXMLNodeNameEqual(child, hostdev ? "source" : "mac") ||
                 (!hostdev && virXMLNodeNameEqual(child, "model"))))
                continue;

            virshDomPCIRemove(child);
        }

        if (hostdev) {
            xmlNodeSetName(node, BAD_CAST "hostdev");
            xmlSetProp(node, BAD_CAST "mode", BAD_CAST "subsystem");
            xmlSetProp(node, BAD_CAST "type", BAD_CAST "pci");
            virshDomPCIPlanHandOver(node);
            xmlUnlinkNode(node);
            /* they come before the other host devices */
            if (hostdevs)
                xmlAddNextSibling(hostdevs, node);
            else if (devices->children)
                xmlAddPrevSibling(devices->children, node);
            else
                xmlAddChild(devices, node);
            hostdevs = node;
        } else {
            xmlSetProp(node, BAD_CAST "type", BAD_CAST "user");
        }
    }
}


/* The value of -device, which QEMU takes as JSON and in a form of its own */
static virJSONValue *
virshDomPCIPlanParseDevice(const char *arg)
{
    g_autoptr(virJSONValue) props = NULL;
    const char *p = arg;
    bool first = true;

    if (*arg == '{')
        return virJSONValueFromString(arg);

    props = virJSONValueNewObject();

    while (*p) {
        g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
        const char *item;
        const char *value;

        /* a comma in a value is written twice */
        for (; *p && (*p != ',' || p[1] == ','); p++) {
            if (*p == ',')
                p++;
            virBufferAddChar(&buf, *p);
        }
        if (*p)
            p++;

        item = virBufferCurrentContent(&buf);
        if (first) {
            if (virJSONValueObjectAppendString(props, "driver", item) < 0)
                return NULL;
        } else if ((value = strchr(item, '='))) {
            g_autofree char *key = g_strndup(item, value - item);

            if (!virJSONValueObjectHasKey(props, key) &&
                virJSONValueObjectAppendString(props, key, value + 1) < 0)
                return NULL;
        }
        first = false;
    }

    return g_steal_pointer(&props);
}


static bool
virshDomPCIPlanPropIsOff(virJSONValue *props,
                         const char *key)
{
    bool value = true;

    if (virJSONValueObjectGetBoolean(props, key, &value) == 0)
        return !value;

    return STREQ_NULLABLE(virJSONValueObjectGetString(props, key), "off");
}


/* The index of the PCI controller that QEMU calls @name */
static bool
virshDomPCIPlanGetIndex(const char *name,
                        unsigned int *idx)
{
    char *end = NULL;

    if (STREQ(name, "pci")) {
        *idx = 0;
        return true;
    }

    return (STRPREFIX(name, "pci.") || STRPREFIX(name, "pcie.")) &&
        virStrToLong_uip(strchr(name, '.') + 1, &end, 10, idx) == 0 &&
        /* the bus of a PHB has a name of its own */
        (*end == '\0' || STREQ(end, ".0"));
}


static xmlNodePtr
virshDomPCIPlanFindController(xmlNodePtr devices,
                              int model,
                              unsigned int idx)
{
    g_autofree char *wanted = g_strdup_printf("%u", idx);
    xmlNodePtr nameless = NULL;
    xmlNodePtr node;

    for (node = devices->children; node; node = node->next) {
        g_autofree char *name = NULL;
        g_autofree char *number = NULL;

        if (node->type != XML_ELEMENT_NODE || !virshDomPCIIsPCIController(node))
            continue;

        number = virXMLPropString(node, "index");
        if (STREQ_NULLABLE(number, wanted))
            return node;

        name = virXMLPropString(node, "model");
        if (!number && !nameless && virshDomPCIModelFromString(name) == model)
            nameless = node;
    }

    return nameless;
}


static xmlNodePtr
virshDomPCIPlanAdd(xmlNodePtr devices,
                   const char *type,
                   const char *subtype,
                   const char *model)
{
    xmlNodePtr node = xmlNewChild(devices, NULL, BAD_CAST type, NULL);

    if (subtype)
        xmlSetProp(node, BAD_CAST "type", BAD_CAST subtype);
    if (model)
        xmlSetProp(node, BAD_CAST "model", BAD_CAST model);
    xmlSetProp(node, BAD_CAST "dompci", BAD_CAST "added");

    return node;
}


static xmlNodePtr
virshDomPCIPlanAddController(xmlNodePtr devices,
                             int model,
                             unsigned int idx)
{
    xmlNodePtr node = virshDomPCIPlanFindController(devices, model, idx);

    if (!node) {
        node = virshDomPCIPlanAdd(devices, "controller", "pci",
                                  virDomainControllerModelPCITypeToString(model));
    }
    virshDomPCISetProp(node, "index", "%u", idx);
    /* the user may have left it out */
    if (!xmlHasProp(node, BAD_CAST "model")) {
        xmlSetProp(node, BAD_CAST "model",
                   BAD_CAST virDomainControllerModelPCITypeToString(model));
    }

    return node;
}


static void
virshDomPCIPlanSetTarget(xmlNodePtr node,
                         const char *name,
                         const char *value)
{
    xmlNodePtr target = virshDomPCIChild(node, "target");

    if (!target)
        target = xmlNewChild(node, NULL, BAD_CAST "target", NULL);

    xmlSetProp(target, BAD_CAST name, BAD_CAST value);
}


static void
virshDomPCIPlanSetAddress(xmlNodePtr node,
                          unsigned int bus,
                          unsigned int slot,
                          unsigned int function)
{
    xmlNodePtr address = virshDomPCIChild(node, "address");

    if (!address)
        address = xmlNewChild(node, NULL, BAD_CAST "address", NULL);

    xmlSetProp(address, BAD_CAST "type", BAD_CAST "pci");
    xmlSetProp(address, BAD_CAST "domain", BAD_CAST "0x0000");
    virshDomPCISetProp(address, "bus", "0x%02x", bus);
    virshDomPCISetProp(address, "slot", "0x%02x", slot);
    virshDomPCISetProp(address, "function", "0x%x", function);
}


/* A network interface whose alias was not kept */
static xmlNodePtr
virshDomPCIPlanFindNIC(xmlNodePtr devices,
                       const char *mac,
                       const char *id)
{
    xmlNodePtr node;
    unsigned int n = 0;

    for (node = devices->children; node; node = node->next) {
        g_autofree char *address = NULL;
        g_autofree char *alias = NULL;

        if (node->type != XML_ELEMENT_NODE ||
            !virXMLNodeNameEqual(node, "interface") ||
            virshDomPCIPropIs(node, "type", "hostdev"))
            continue;

        address = virshDomPCIChildProp(node, "mac", "address");
        alias = g_strdup_printf("net%u", n++);
        if (address ? !g_ascii_strcasecmp(address, NULLSTR_EMPTY(mac)) :
            STREQ_NULLABLE(id, alias))
            return node;
    }

    return NULL;
}


/* A USB controller that has no name but that of the one it belongs to */
static xmlNodePtr
virshDomPCIPlanFindCompanion(xmlNodePtr devices,
                             GHashTable *known,
                             const char *driver,
                             const char *master)
{
    g_autofree char *name = g_strndup(master, strcspn(master, "."));
    g_autofree char *idx = NULL;
    xmlNodePtr node = g_hash_table_lookup(known, name);
    const char *model = NULL;
    size_t i;

    if (!node || !(idx = virXMLPropString(node, "index")))
        return NULL;

    for (i = 0; i < G_N_ELEMENTS(virshDomPCIAddable); i++) {
        if (STREQ(driver, virshDomPCIAddable[i].driver))
            model = virshDomPCIAddable[i].model;
    }

    for (node = devices->children; node && model; node = node->next) {
        if (node->type == XML_ELEMENT_NODE &&
            virXMLNodeNameEqual(node, "controller") &&
            virshDomPCIPropIs(node, "type", "usb") &&
            virshDomPCIPropIs(node, "model", model) &&
            virshDomPCIPropIs(node, "index", idx))
            return node;
    }

    return NULL;
}


/* Takes one -device of the command line over into @devices. */
static int
virshDomPCIPlanTake(xmlNodePtr devices,
                    GHashTable *known,
                    virJSONValue *props,
                    bool *inexact)
{
    const char *driver = virJSONValueObjectGetString(props, "driver");
    const char *id = virJSONValueObjectGetString(props, "id");
    const char *busName = virJSONValueObjectGetString(props, "bus");
    const char *addr = virJSONValueObjectGetString(props, "addr");
    const char *master = virJSONValueObjectGetString(props, "masterbus");
    const char *mac = virJSONValueObjectGetString(props, "mac");
    xmlNodePtr node = NULL;
    unsigned int bus = 0;
    unsigned int slot = 0;
    unsigned int function = 0;
    unsigned int idx = 0;
    char *end = NULL;
    size_t i;
    int model = -1;

    if (!driver)
        return 0;

    for (i = 0; i < G_N_ELEMENTS(virshDomPCIDrivers); i++) {
        if (STREQ(driver, virshDomPCIDrivers[i].driver))
            model = virshDomPCIDrivers[i].model;
    }

    if (model >= 0 && id && virshDomPCIPlanGetIndex(id, &idx)) {
        const char *copied[][2] = {
            { "index", "index" }, { "bus_nr", "busNr" },
        };
        node = virshDomPCIPlanAddController(devices, model, idx);

        for (i = 0; i < G_N_ELEMENTS(copied); i++) {
            virJSONValue *json = virJSONValueObjectGet(props, copied[i][0]);
            const char *value = NULL;

            /* numbers in JSON, text in the other form */
            if (json && !(value = virJSONValueGetString(json)))
                value = virJSONValueGetNumberString(json);
            if (value)
                virshDomPCIPlanSetTarget(node, copied[i][1], value);
        }
        if (virshDomPCIPlanPropIsOff(props, "hotplug"))
            virshDomPCIPlanSetTarget(node, "hotplug", "off");
    }

    if (!busName || !addr || !virshDomPCIPlanGetIndex(busName, &bus)) {
        /* on another bus */
        if (!node && id && (node = g_hash_table_lookup(known, id)) &&
            !virshDomPCIChild(node, "address")) {
            node = xmlNewChild(node, NULL, BAD_CAST "address", NULL);
            xmlSetProp(node, BAD_CAST "type", BAD_CAST "other");
        }
        return 0;
    }

    if (virStrToLong_uip(addr, &end, 16, &slot) < 0 ||
        (*end == '.' && virStrToLong_uip(end + 1, &end, 16, &function) < 0) ||
        *end != '\0') {
        virReportError(VIR_ERR_INTERNAL_ERROR,
                       _("cannot read the PCI address '%1$s' of device '%2$s'"),
                       addr, driver);
        return -1;
    }

    if (bus == 0) {
        virshDomPCIPlanAddController(devices,
                                     STRPREFIX(busName, "pcie.") ?
                                     VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT :
                                     VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT, 0);
    }

    if (!node && id)
        node = g_hash_table_lookup(known, id);

    if (!node && !id && master)
        node = virshDomPCIPlanFindCompanion(devices, known, driver, master);

    if (!node && mac && (node = virshDomPCIPlanFindNIC(devices, mac, id))) {
        xmlNodePtr address = virshDomPCIChild(node, "address");

        /* It was made anew and placed anew. The address that the user has
         * written is the right one. */
        *inexact = true;
        if (address && (xmlHasProp(address, BAD_CAST "slot") ||
                        xmlHasProp(address, BAD_CAST "bus")))
            return 0;
    }

    if (!node) {
        for (i = 0; i < G_N_ELEMENTS(virshDomPCIAddable); i++) {
            if (STRPREFIX(driver, virshDomPCIAddable[i].driver))
                break;
        }
        if (i < G_N_ELEMENTS(virshDomPCIAddable)) {
            node = virshDomPCIPlanAdd(devices,
                                      virshDomPCIAddable[i].type,
                                      virshDomPCIAddable[i].subtype,
                                      virshDomPCIAddable[i].model);
            /* "scsi1" is a controller with index 1, "usb" one with index 0 */
            if (id && STREQ(virshDomPCIAddable[i].type, "controller")) {
                const char *number = id + strlen(id);

                while (number > id && g_ascii_isdigit(number[-1]))
                    number--;
                virshDomPCISetProp(node, "index", "%s", *number ? number : "0");
            }
        } else {
            node = virshDomPCIPlanAdd(devices, "device", NULL, driver);
        }
    }

    /* the model that define would choose */
    if (virXMLNodeNameEqual(node, "interface") && mac &&
        !virshDomPCIChild(node, "model")) {
        xmlNodePtr child = xmlNewChild(node, NULL, BAD_CAST "model", NULL);
        bool virtio = STREQ(driver, "virtio-net-pci");

        virshDomPCISetProp(child, "type", "%s", virtio ? "virtio" : driver);
    }

    virshDomPCIPlanSetAddress(node, bus, slot, function);
    return 0;
}


/* Root buses and controllers of the chipset are on no command line. */
static void
virshDomPCIPlanChipset(xmlNodePtr root,
                       const char *machine)
{
    xmlNodePtr devices = virshDomPCIChild(root, "devices");
    bool pseries = STRPREFIX(machine, "pseries");
    bool virt = STREQ(machine, "virt") || STRPREFIX(machine, "virt-");
    bool q35 = STREQ(machine, "q35") || STRPREFIX(machine, "pc-q35");
    bool i440fx = !q35 && (STREQ(machine, "pc") || STRPREFIX(machine, "pc-"));
    xmlNodePtr sata = NULL;
    xmlNodePtr node;

    if (q35 || virt) {
        virshDomPCIPlanAddController(devices, VIR_DOMAIN_CONTROLLER_MODEL_PCIE_ROOT, 0);
    } else if (i440fx || pseries || STRPREFIX(machine, "s390-ccw-virtio")) {
        node = virshDomPCIPlanAddController(devices, VIR_DOMAIN_CONTROLLER_MODEL_PCI_ROOT, 0);
        if (pseries)
            virshDomPCIPlanSetTarget(node, "index", "0");
    }

    for (node = devices->children; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE ||
            !virXMLNodeNameEqual(node, "controller") ||
            !virshDomPCIPropIs(node, "index", "0"))
            continue;

        if (i440fx && virshDomPCIPropIs(node, "type", "ide"))
            virshDomPCIPlanSetAddress(node, 0, 1, 1);
        else if (q35 && virshDomPCIPropIs(node, "type", "sata"))
            sata = node;
    }

    /* define adds it in any case */
    if (q35 && !sata) {
        sata = virshDomPCIPlanAdd(devices, "controller", "sata", NULL);
        xmlSetProp(sata, BAD_CAST "index", BAD_CAST "0");
    }
    if (sata)
        virshDomPCIPlanSetAddress(sata, 0, 0x1f, 2);
}


static bool
virshDomPCIPlanHasController(xmlNodePtr devices,
                             const char *type,
                             unsigned int idx)
{
    g_autofree char *wanted = g_strdup_printf("%u", idx);
    xmlNodePtr node;

    for (node = devices->children; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE &&
            virXMLNodeNameEqual(node, "controller") &&
            virshDomPCIPropIs(node, "type", type) &&
            virshDomPCIPropIs(node, "index", wanted))
            return true;
    }

    return false;
}


/* Numbers the controllers that have no index yet. */
static void
virshDomPCIPlanNumber(xmlNodePtr devices)
{
    xmlNodePtr node;

    for (node = devices->children; node; node = node->next) {
        g_autofree char *type = NULL;
        unsigned int idx = 0;

        if (node->type != XML_ELEMENT_NODE ||
            !virXMLNodeNameEqual(node, "controller") ||
            virshDomPCIIsPCIController(node) ||
            xmlHasProp(node, BAD_CAST "index") ||
            !(type = virXMLPropString(node, "type")))
            continue;

        while (virshDomPCIPlanHasController(devices, type, idx))
            idx++;
        virshDomPCISetProp(node, "index", "%u", idx);
    }
}


/**
 * virshDomPCIPlan:
 * @conn: connection to the driver that is to complete the domain
 * @xml: domain XML; completed with PCI controllers and addresses
 * @inexact: set if the driver does not tell where network interfaces would be
 *
 * Nothing is defined.
 *
 * Returns 0, or -1 with an error.
 */
static int
virshDomPCIPlan(virConnectPtr conn,
                xmlDocPtr xml,
                bool *inexact)
{
    g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal,
                                                        g_free, NULL);
    g_autoptr(GHashTable) ours = g_hash_table_new(NULL, NULL);
    g_autoptr(xmlDoc) copy = NULL;
    g_autofree char *text = NULL;
    g_autofree char *native = NULL;
    g_autofree char *machine = NULL;
    g_auto(GStrv) argv = NULL;
    xmlNodePtr root = xmlDocGetRootElement(xml);
    xmlNodePtr devices = virshDomPCIChild(root, "devices");
    xmlNodePtr node;
    size_t i;

    if (!devices)
        devices = xmlNewChild(root, NULL, BAD_CAST "devices", NULL);

    virshDomPCIPlanMark(devices, known, ours);

    copy = xmlCopyDoc(xml, 1);
    virshDomPCIPlanStandIns(virshDomPCIChild(xmlDocGetRootElement(copy), "devices"));
    text = virXMLNodeToString(copy, xmlDocGetRootElement(copy));

    if (!text ||
        !(native = virConnectDomainXMLToNative(conn, "qemu-argv", text, 0)))
        return -1;

    if (!g_shell_parse_argv(native, NULL, &argv, NULL)) {
        virReportError(VIR_ERR_INTERNAL_ERROR, "%s",
                       _("cannot read the command line that was made of the domain XML"));
        return -1;
    }

    for (i = 0; argv[i] && argv[i + 1]; i++) {
        if (STREQ(argv[i], "-machine")) {
            machine = g_strndup(argv[i + 1], strcspn(argv[i + 1], ","));
        } else if (STREQ(argv[i], "-device")) {
            g_autoptr(virJSONValue) props = virshDomPCIPlanParseDevice(argv[i + 1]);

            if (!props ||
                virshDomPCIPlanTake(devices, known, props, inexact) < 0)
                return -1;
        }
    }

    virshDomPCIPlanNumber(devices);
    if (machine)
        virshDomPCIPlanChipset(root, machine);
    node = virshDomPCIChild(virshDomPCIChild(root, "os"), "type");
    if (node && machine)
        xmlSetProp(node, BAD_CAST "machine", BAD_CAST machine);

    for (node = devices->children; node; node = node->next) {
        xmlNodePtr alias = virshDomPCIChild(node, "alias");

        if (alias && g_hash_table_contains(ours, alias))
            virshDomPCIRemove(alias);
    }

    return 0;
}


/* -- words for what is shown ---------------------------------------------- */

static char *
virshDomPCIAddressFormat(const virPCIDeviceAddress *addr)
{
    if (addr->domain != 0) {
        return g_strdup_printf("%04x:%02x:%02x.%x", addr->domain, addr->bus,
                               addr->slot, addr->function);
    }

    return g_strdup_printf("%02x:%02x.%x", addr->bus, addr->slot, addr->function);
}


/* the free slots from @first to @last of bus @idx */
static char *
virshDomPCISlotsFormat(unsigned int idx,
                       size_t first,
                       size_t last)
{
    if (first == last)
        return g_strdup_printf("%02x:%02zx", idx, first);

    return g_strdup_printf("%02x:%02zx-%02zx", idx, first, last);
}


/* "usb controller", "disk", ... */
static char *
virshDomPCIDeviceKind(const virshDomPCIDevice *dev)
{
    if (STREQ(dev->type, "controller") && dev->subtype)
        return g_strdup_printf("%s controller", dev->subtype);
    if (STREQ(dev->type, "hostdev") && dev->subtype)
        return g_strdup_printf("%s hostdev", dev->subtype);
    if (STREQ(dev->type, "input") && dev->subtype)
        return g_strdup_printf("%s input", dev->subtype);

    return g_strdup(dev->type);
}


/* "busHint=pcie hotpluggable=no", or NULL */
static char *
virshDomPCIDeviceHints(const virshDomPCIDevice *dev)
{
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(dev->hints); i++) {
        if (dev->hints[i])
            virBufferAsprintf(&buf, "%s=%s ", virshDomPCIHints[i], dev->hints[i]);
    }
    if (dev->hotplugOff)
        virBufferAddLit(&buf, "hotplug=off ");
    virBufferTrim(&buf, " ");

    return virBufferContentAndReset(&buf);
}


/* the alias, unless it says no more than the index does */
static const char *
virshDomPCIDeviceAlias(const virshDomPCIDevice *dev)
{
    g_autofree char *pci = NULL;
    g_autofree char *pcie = NULL;

    if (!dev->isController || !dev->alias)
        return dev->alias;

    pci = g_strdup_printf("pci.%u", dev->idx);
    pcie = g_strdup_printf("pcie.%u", dev->idx);

    return STREQ(dev->alias, pci) || STREQ(dev->alias, pcie) ? NULL : dev->alias;
}


static unsigned int
virshDomPCIMissing(const virshDomPCI *pci,
                   size_t class)
{
    if (!pci->asks[class] || pci->asked[class] <= pci->free[class])
        return 0;

    return pci->asked[class] - pci->free[class];
}


/* "8 PCIe (8 asked for)" */
static char *
virshDomPCISummaryClass(const virshDomPCI *pci,
                        virshDomPCIClass class)
{
    unsigned int missing = virshDomPCIMissing(pci, class);
    bool pcie = class == VIRSH_DOMPCI_CLASS_PCIE;

    if (missing > 0) {
        return g_strdup_printf(pcie ?
                               _("%1$u PCIe (%2$u asked for, %3$u missing)") :
                               _("%1$u conventional (%2$u asked for, %3$u missing)"),
                               pci->free[class], pci->asked[class], missing);
    }
    if (pci->asks[class]) {
        return g_strdup_printf(pcie ?
                               _("%1$u PCIe (%2$u asked for)") :
                               _("%1$u conventional (%2$u asked for)"),
                               pci->free[class], pci->asked[class]);
    }

    return g_strdup_printf(pcie ? _("%1$u PCIe") : _("%1$u conventional"),
                           pci->free[class]);
}


static char *
virshDomPCISummary(const virshDomPCI *pci)
{
    g_autofree char *pcie = virshDomPCISummaryClass(pci, VIRSH_DOMPCI_CLASS_PCIE);
    g_autofree char *conventional = virshDomPCISummaryClass(pci, VIRSH_DOMPCI_CLASS_PCI);

    /* e.g. "Free hotpluggable slots: 8 PCIe (8 asked for), 0 conventional" */
    return g_strdup_printf(_("Free hotpluggable slots: %1$s, %2$s"),
                           pcie, conventional);
}


/* Whether @bus or one below it has a free slot that counts. Controllers may
 * be in a circle; @depth ends the search. */
static bool
virshDomPCIBusLeadsToFree(virshDomPCI *pci,
                          virshDomPCIBus *bus,
                          unsigned int depth)
{
    size_t slot;
    size_t function;

    if (!bus || depth > BUSES)
        return false;

    if (virshDomPCIBusHotplugs(bus) && virshDomPCIBusCountFree(bus) > 0)
        return true;

    for (slot = 0; slot < SLOTS; slot++) {
        for (function = 0; function < FUNCTIONS; function++) {
            virshDomPCIDevice *dev = bus->fn[slot][function];

            if (dev && dev->isController &&
                virshDomPCIBusLeadsToFree(pci, pci->buses[dev->idx], depth + 1))
                return true;
        }
    }

    return false;
}


/* One thing to show on a bus: a device, or a run of free slots */
typedef struct {
    virshDomPCIDevice *dev;     /* NULL: free slots */
    virshDomPCIBus *bus;        /* behind @dev, if it is a PCI controller */
    size_t first;
    size_t last;
} virshDomPCIItem;


static GArray *
virshDomPCIBusItems(virshDomPCI *pci,
                    virshDomPCIBus *bus,
                    bool onlyFree)
{
    GArray *items = g_array_new(FALSE, TRUE, sizeof(virshDomPCIItem));
    size_t slot;
    size_t function;

    for (slot = 0; slot < SLOTS; slot++) {
        virshDomPCIItem item = { .first = slot, .last = slot };

        if (virshDomPCIBusHotplugs(bus) && virshDomPCISlotIsFree(bus, slot)) {
            while (virshDomPCISlotIsFree(bus, item.last + 1))
                item.last++;
            slot = item.last;
            g_array_append_val(items, item);
            continue;
        }

        for (function = 0; function < FUNCTIONS; function++) {
            if (!(item.dev = bus->fn[slot][function]))
                continue;
            item.bus = item.dev->isController ? pci->buses[item.dev->idx] : NULL;
            if (onlyFree && !virshDomPCIBusLeadsToFree(pci, item.bus, 0))
                continue;
            g_array_append_val(items, item);
        }
    }

    return items;
}


/* -- tree ------------------------------------------------------------------ */

typedef struct {
    virshDomPCI *pci;
    virBuffer buf;
    bool colour;
    bool onlyFree;
} virshDomPCITree;

#define COLOUR_FREE "\033[32m"
#define COLOUR_CONTROLLER "\033[1m"
#define COLOUR_ADDED "\033[36m"
#define COLOUR_MISSING "\033[31m"
#define COLOUR_DIM "\033[2m"


static void
virshDomPCITreeColour(virshDomPCITree *tree,
                      const char *colour)
{
    if (tree->colour)
        virBufferAdd(&tree->buf, colour ? colour : "\033[0m", -1);
}


static void
virshDomPCITreeAddController(virshDomPCITree *tree,
                             virshDomPCIDevice *dev)
{
    virBuffer *buf = &tree->buf;
    virshDomPCIBus *bus = dev->indexed ? virshDomPCIGetBus(tree->pci, dev->idx) : NULL;

    virshDomPCITreeColour(tree, COLOUR_CONTROLLER);
    virBufferAdd(buf, dev->model ? dev->model : dev->type, -1);
    virshDomPCITreeColour(tree, NULL);
    if (dev->indexed)
        virBufferAsprintf(buf, _(", index %1$u"), dev->idx);
    if (dev->targetIndex)
        virBufferAsprintf(buf, _(", PHB %1$s"), dev->targetIndex);
    if (dev->busNr)
        virBufferAsprintf(buf, _(", bus number %1$s"), dev->busNr);
    if (dev->node)
        virBufferAsprintf(buf, _(", NUMA node %1$s"), dev->node);

    /* slots that are not listed because no device can be plugged in */
    if (bus && !tree->onlyFree && !virshDomPCIBusHotplugs(bus)) {
        unsigned int empty = virshDomPCIBusCountFree(bus);

        virshDomPCITreeColour(tree, COLOUR_DIM);
        if (bus->loose)
            virBufferAsprintf(buf, _(", leads to no root, %1$u empty"), empty);
        else
            virBufferAsprintf(buf, _(", no hotplug, %1$u empty"), empty);
        virshDomPCITreeColour(tree, NULL);
    }
}


static void
virshDomPCITreeAddDevice(virshDomPCITree *tree,
                         virshDomPCIDevice *dev)
{
    virBuffer *buf = &tree->buf;
    g_autofree char *hints = virshDomPCIDeviceHints(dev);
    const char *alias = virshDomPCIDeviceAlias(dev);

    if (dev->isController) {
        virshDomPCITreeAddController(tree, dev);
    } else {
        g_autofree char *kind = virshDomPCIDeviceKind(dev);

        if (STREQ(dev->type, "chipset"))
            virshDomPCITreeColour(tree, COLOUR_DIM);
        virBufferAdd(buf, kind, -1);
        if (dev->model)
            virBufferAsprintf(buf, " %s", dev->model);
        if (STREQ(dev->type, "chipset"))
            virshDomPCITreeColour(tree, NULL);
        if (dev->target && STREQ(dev->type, "controller"))
            virBufferAsprintf(buf, _(", index %1$s"), dev->target);
        else if (dev->target)
            virBufferAsprintf(buf, ", %s", dev->target);
        if (dev->mac)
            virBufferAsprintf(buf, ", %s", dev->mac);
    }
    if (alias)
        virBufferAsprintf(buf, ", %s", alias);
    if (hints)
        virBufferAsprintf(buf, " [%s]", hints);
    if (dev->added) {
        virshDomPCITreeColour(tree, COLOUR_ADDED);
        virBufferAsprintf(buf, " (%s)", _("added"));
        virshDomPCITreeColour(tree, NULL);
    }
}


static void
virshDomPCITreeAddFree(virshDomPCITree *tree,
                       virshDomPCIBus *bus,
                       const virshDomPCIItem *item)
{
    g_autofree char *slots = virshDomPCISlotsFormat(bus->dev->idx,
                                                    item->first, item->last);
    size_t n = item->last - item->first + 1;

    virBufferAsprintf(&tree->buf, n == 1 ? "%-9s" : "%s  ", slots);
    virshDomPCITreeColour(tree, COLOUR_FREE);
    if (bus->isolated) {
        virBufferAsprintf(&tree->buf,
                          _("%1$zu empty, kept for one host IOMMU group"), n);
    } else if (virshDomPCIBusClass(bus) == VIRSH_DOMPCI_CLASS_PCIE) {
        virBufferAsprintf(&tree->buf, _("%1$zu free, PCIe"), n);
    } else {
        virBufferAsprintf(&tree->buf, _("%1$zu free, conventional"), n);
    }
    virshDomPCITreeColour(tree, NULL);
}


static void
virshDomPCITreeAddBus(virshDomPCITree *tree,
                      virshDomPCIBus *bus,
                      const char *indent)
{
    g_autoptr(GArray) items = NULL;
    size_t i;

    bus->shown = true;
    items = virshDomPCIBusItems(tree->pci, bus, tree->onlyFree);

    for (i = 0; i < items->len; i++) {
        virshDomPCIItem *item = &g_array_index(items, virshDomPCIItem, i);

        virBufferAsprintf(&tree->buf, "%s+- ", indent);
        if (!item->dev) {
            virshDomPCITreeAddFree(tree, bus, item);
        } else {
            g_autofree char *addr = virshDomPCIAddressFormat(&item->dev->addr);

            virBufferAsprintf(&tree->buf, "%-9s", addr);
            virshDomPCITreeAddDevice(tree, item->dev);
        }
        virBufferAddLit(&tree->buf, "\n");

        if (item->bus && !item->bus->shown) {
            g_autofree char *deeper = g_strdup_printf("%s%s", indent,
                                                      i + 1 < items->len ? "|  " : "   ");

            virshDomPCITreeAddBus(tree, item->bus, deeper);
        }
    }
}


static void
virshDomPCIShowTree(vshControl *ctl,
                    virshDomPCI *pci,
                    bool onlyFree)
{
    virshDomPCITree tree = { .pci = pci, .onlyFree = onlyFree };
    g_autofree char *summary = virshDomPCISummary(pci);
    g_autofree char *text = NULL;
    bool missing = false;
    bool any = false;
    size_t i;

    tree.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") &&
        STRNEQ_NULLABLE(getenv("TERM"), "dumb");

    virshDomPCITreeColour(&tree, COLOUR_CONTROLLER);
    virBufferAdd(&tree.buf, NULLSTR_MINUS(pci->name), -1);
    virshDomPCITreeColour(&tree, NULL);
    if (pci->arch || pci->machine) {
        virBufferAsprintf(&tree.buf, " (%s%s%s)", NULLSTR_EMPTY(pci->arch),
                          pci->arch && pci->machine ? ", " : "",
                          NULLSTR_EMPTY(pci->machine));
    }
    if (pci->planned)
        virBufferAsprintf(&tree.buf, ", %s", _("planned, not defined"));
    virBufferAddLit(&tree.buf, "\n");

    /* the roots first; then what hangs on nothing */
    for (i = 0; i < 2 * BUSES; i++) {
        virshDomPCIBus *bus = pci->buses[i % BUSES];

        if (!bus || bus->shown ||
            (i < BUSES && !virshDomPCIModelIsRoot(bus->dev->pciModel)) ||
            (onlyFree && !virshDomPCIBusLeadsToFree(pci, bus, 0)))
            continue;

        any = true;
        virshDomPCITreeAddDevice(&tree, bus->dev);
        virBufferAddLit(&tree.buf, "\n");
        virshDomPCITreeAddBus(&tree, bus, "");
    }

    for (i = 0; i < BUSES && !any; i++)
        any = pci->buses[i];
    if (!any)
        virBufferAsprintf(&tree.buf, "%s\n", _("No PCI controllers"));

    if (pci->astray->len > 0 && !onlyFree) {
        virBufferAsprintf(&tree.buf, "%s\n",
                          pci->plannable ?
                          _("On no PCI bus yet (--plan shows where define would put them):") :
                          _("On no PCI bus of this XML:"));
        for (i = 0; i < pci->astray->len; i++) {
            virshDomPCIDevice *dev = g_ptr_array_index(pci->astray, i);

            virBufferAddLit(&tree.buf, "   ");
            if (dev->placed) {
                g_autofree char *addr = virshDomPCIAddressFormat(&dev->addr);

                virBufferAsprintf(&tree.buf, "%s  ", addr);
            }
            virshDomPCITreeAddDevice(&tree, dev);
            virBufferAddLit(&tree.buf, "\n");
        }
    }

    if (pci->inexact) {
        virBufferAsprintf(&tree.buf, "%s\n",
                          _("This driver does not tell where define would put network interfaces: theirs may be other slots"));
    }

    for (i = 0; i < VIRSH_DOMPCI_CLASS_LAST; i++)
        missing |= virshDomPCIMissing(pci, i) > 0;
    if (missing)
        virshDomPCITreeColour(&tree, COLOUR_MISSING);
    virBufferAdd(&tree.buf, summary, -1);
    if (missing)
        virshDomPCITreeColour(&tree, NULL);

    text = virBufferContentAndReset(&tree.buf);
    vshPrint(ctl, "%s\n", text);
}


/* -- table ----------------------------------------------------------------- */

static int
virshDomPCITableAddFree(vshTable *table,
                        virshDomPCIBus *bus)
{
    size_t slot;

    if (!virshDomPCIBusHotplugs(bus))
        return 0;

    for (slot = bus->bus.minSlot; slot <= bus->bus.maxSlot; slot++) {
        g_autofree char *addr = NULL;
        g_autofree char *idx = NULL;

        if (!virshDomPCISlotIsFree(bus, slot) || bus->isolated)
            continue;

        addr = g_strdup_printf("%02x:%02zx", bus->dev->idx, slot);
        idx = g_strdup_printf("%u", bus->dev->idx);
        if (vshTableRowAppend(table, addr,
                              virshDomPCIClassTypeToString(virshDomPCIBusClass(bus)),
                              bus->dev->model, idx, NULL) < 0)
            return -1;
    }

    return 0;
}


static int
virshDomPCITableAddDevice(vshTable *table,
                          virshDomPCI *pci,
                          virshDomPCIDevice *dev)
{
    virshDomPCIBus *bus = NULL;
    g_autofree char *addr = NULL;
    g_autofree char *kind = virshDomPCIDeviceKind(dev);
    g_autofree char *hints = virshDomPCIDeviceHints(dev);

    if (dev->placed) {
        bus = virshDomPCIGetBus(pci, dev->addr.bus);
        addr = virshDomPCIAddressFormat(&dev->addr);
    }

    return vshTableRowAppend(table,
                             NULLSTR_MINUS(addr),
                             kind,
                             NULLSTR_MINUS(dev->model),
                             NULLSTR_MINUS(dev->target ? dev->target : dev->mac),
                             NULLSTR_MINUS(dev->alias),
                             bus ? bus->dev->model : "-",
                             virshDomPCIDeviceHotplugs(dev, bus) ? "yes" : "no",
                             NULLSTR_MINUS(hints),
                             NULL);
}


static bool
virshDomPCIShowTable(vshControl *ctl,
                     virshDomPCI *pci,
                     bool onlyFree)
{
    g_autoptr(vshTable) table = NULL;
    size_t i;
    size_t slot;
    size_t function;

    if (onlyFree) {
        table = vshTableNew(_("Slot"), _("Class"), _("Controller"), _("Index"), NULL);
    } else {
        table = vshTableNew(_("Address"), _("Device"), _("Model"), _("Target"),
                            _("Alias"), _("Controller"), _("Hotplug"), _("Hints"),
                            NULL);
    }
    if (!table)
        return false;

    for (i = 0; i < BUSES; i++) {
        virshDomPCIBus *bus = pci->buses[i];

        if (!bus)
            continue;

        if (onlyFree) {
            if (virshDomPCITableAddFree(table, bus) < 0)
                return false;
            continue;
        }

        if (!bus->dev->placed &&
            virshDomPCITableAddDevice(table, pci, bus->dev) < 0)
            return false;

        for (slot = 0; slot < SLOTS; slot++) {
            for (function = 0; function < FUNCTIONS; function++) {
                if (bus->fn[slot][function] &&
                    virshDomPCITableAddDevice(table, pci, bus->fn[slot][function]) < 0)
                    return false;
            }
        }
    }

    for (i = 0; i < pci->astray->len && !onlyFree; i++) {
        virshDomPCIDevice *dev = g_ptr_array_index(pci->astray, i);

        if (!(dev->isController && dev->indexed && !dev->placed &&
              virshDomPCIGetBus(pci, dev->idx)) &&
            virshDomPCITableAddDevice(table, pci, dev) < 0)
            return false;
    }

    vshTablePrintToStdout(table, ctl);
    return true;
}


/* -- JSON ------------------------------------------------------------------ */

static void
virshDomPCIJSONString(virJSONValue *object,
                      const char *key,
                      const char *value)
{
    if (value)
        virJSONValueObjectAppendString(object, key, value);
}


static void
virshDomPCIJSONAddress(virJSONValue *object,
                       virshDomPCIDevice *dev)
{
    g_autoptr(virJSONValue) address = NULL;

    if (!dev->placed)
        return;

    address = virJSONValueNewObject();
    virJSONValueObjectAppendNumberUint(address, "domain", dev->addr.domain);
    virJSONValueObjectAppendNumberUint(address, "bus", dev->addr.bus);
    virJSONValueObjectAppendNumberUint(address, "slot", dev->addr.slot);
    virJSONValueObjectAppendNumberUint(address, "function", dev->addr.function);
    virJSONValueObjectAppend(object, "address", &address);
}


static void
virshDomPCIJSONHints(virJSONValue *object,
                     virshDomPCIDevice *dev)
{
    g_autoptr(virJSONValue) hints = virJSONValueNewObject();
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(dev->hints); i++)
        virshDomPCIJSONString(hints, virshDomPCIHints[i], dev->hints[i]);

    if (virJSONValueObjectKeysNumber(hints) > 0)
        virJSONValueObjectAppend(object, "hints", &hints);
}


static virJSONValue *
virshDomPCIJSONController(virshDomPCI *pci,
                          virshDomPCIBus *bus)
{
    virJSONValue *object = virJSONValueNewObject();
    g_autoptr(virJSONValue) freeSlots = virJSONValueNewArray();
    bool endpoints = bus->bus.flags & VIR_PCI_CONNECT_TYPES_ENDPOINT;
    virshDomPCIDevice *dev = bus->dev;
    size_t slot;

    virJSONValueObjectAppendNumberUint(object, "index", dev->idx);
    virJSONValueObjectAppendString(object, "model", dev->model);
    virshDomPCIJSONString(object, "alias", dev->alias);
    virshDomPCIJSONAddress(object, dev);
    if (dev->placed && virshDomPCIGetBus(pci, dev->addr.bus))
        virJSONValueObjectAppendNumberUint(object, "parent", dev->addr.bus);
    virshDomPCIJSONString(object, "busNr", dev->busNr);
    virshDomPCIJSONString(object, "node", dev->node);
    virshDomPCIJSONString(object, "targetIndex", dev->targetIndex);
    virJSONValueObjectAppendString(object, "class", !endpoints ? "none" :
                                   virshDomPCIClassTypeToString(virshDomPCIBusClass(bus)));
    virJSONValueObjectAppendBoolean(object, "hotplug", virshDomPCIBusHotplugs(bus));
    if (bus->isolated)
        virJSONValueObjectAppendBoolean(object, "isolated", true);
    if (bus->loose)
        virJSONValueObjectAppendBoolean(object, "unreachable", true);
    virJSONValueObjectAppendNumberUint(object, "slots",
                                       bus->bus.maxSlot - bus->bus.minSlot + 1);

    for (slot = bus->bus.minSlot; slot <= bus->bus.maxSlot; slot++) {
        g_autoptr(virJSONValue) number = NULL;

        if (!virshDomPCISlotIsFree(bus, slot))
            continue;
        number = virJSONValueNewNumberUint(slot);
        virJSONValueArrayAppend(freeSlots, &number);
    }
    virJSONValueObjectAppend(object, "freeSlots", &freeSlots);
    if (pci->planned)
        virJSONValueObjectAppendBoolean(object, "added", dev->added);

    return object;
}


static virJSONValue *
virshDomPCIJSONDevice(virshDomPCI *pci,
                      virshDomPCIDevice *dev)
{
    virJSONValue *object = virJSONValueNewObject();
    virshDomPCIBus *bus = NULL;

    if (dev->placed)
        bus = virshDomPCIGetBus(pci, dev->addr.bus);

    virJSONValueObjectAppendString(object, "type", dev->type);
    virshDomPCIJSONString(object, "subtype", dev->subtype);
    virshDomPCIJSONString(object, "model", dev->model);
    virshDomPCIJSONString(object, "target", dev->target);
    virshDomPCIJSONString(object, "mac", dev->mac);
    virshDomPCIJSONString(object, "alias", dev->alias);
    virshDomPCIJSONAddress(object, dev);
    virJSONValueObjectAppendBoolean(object, "hotplug",
                                    virshDomPCIDeviceHotplugs(dev, bus));
    virshDomPCIJSONHints(object, dev);
    if (pci->planned)
        virJSONValueObjectAppendBoolean(object, "added", dev->added);

    return object;
}


static bool
virshDomPCIShowJSON(vshControl *ctl,
                    virshDomPCI *pci,
                    bool onlyFree)
{
    g_autoptr(virJSONValue) object = virJSONValueNewObject();
    g_autoptr(virJSONValue) prefs = virJSONValueNewObject();
    g_autoptr(virJSONValue) controllers = virJSONValueNewArray();
    g_autoptr(virJSONValue) devices = virJSONValueNewArray();
    g_autoptr(virJSONValue) astray = virJSONValueNewArray();
    g_autoptr(virJSONValue) freeSlots = virJSONValueNewObject();
    g_autofree char *text = NULL;
    size_t i;
    size_t slot;
    size_t function;

    virshDomPCIJSONString(object, "name", pci->name);
    virshDomPCIJSONString(object, "arch", pci->arch);
    virshDomPCIJSONString(object, "machine", pci->machine);
    virJSONValueObjectAppendBoolean(object, "planned", pci->planned);
    if (pci->inexact)
        virJSONValueObjectAppendBoolean(object, "inexact", true);

    for (i = 0; i < pci->prefs->len; i += 2) {
        const char *name = g_ptr_array_index(pci->prefs, i);

        if (!virJSONValueObjectHasKey(prefs, name))
            virshDomPCIJSONString(prefs, name, g_ptr_array_index(pci->prefs, i + 1));
    }
    virJSONValueObjectAppend(object, "preferences", &prefs);

    for (i = 0; i < VIRSH_DOMPCI_CLASS_LAST; i++) {
        g_autoptr(virJSONValue) class = virJSONValueNewObject();

        virJSONValueObjectAppendNumberUint(class, "slots", pci->free[i]);
        if (pci->asks[i])
            virJSONValueObjectAppendNumberUint(class, "asked", pci->asked[i]);
        virJSONValueObjectAppendNumberUint(class, "missing", virshDomPCIMissing(pci, i));
        virJSONValueObjectAppend(freeSlots, virshDomPCIClassTypeToString(i), &class);
    }
    virJSONValueObjectAppend(object, "free", &freeSlots);

    for (i = 0; i < BUSES; i++) {
        virshDomPCIBus *bus = pci->buses[i];
        g_autoptr(virJSONValue) controller = NULL;

        if (!bus ||
            (onlyFree && (!virshDomPCIBusCounts(bus) ||
                          virshDomPCIBusCountFree(bus) == 0)))
            continue;

        controller = virshDomPCIJSONController(pci, bus);
        virJSONValueArrayAppend(controllers, &controller);

        for (slot = 0; slot < SLOTS && !onlyFree; slot++) {
            for (function = 0; function < FUNCTIONS; function++) {
                g_autoptr(virJSONValue) device = NULL;

                if (!bus->fn[slot][function] ||
                    bus->fn[slot][function]->isController)
                    continue;
                device = virshDomPCIJSONDevice(pci, bus->fn[slot][function]);
                virJSONValueArrayAppend(devices, &device);
            }
        }
    }
    virJSONValueObjectAppend(object, "controllers", &controllers);

    if (!onlyFree) {
        virJSONValueObjectAppend(object, "devices", &devices);
        for (i = 0; i < pci->astray->len; i++) {
            g_autoptr(virJSONValue) device = NULL;

            device = virshDomPCIJSONDevice(pci, g_ptr_array_index(pci->astray, i));
            virJSONValueArrayAppend(astray, &device);
        }
        virJSONValueObjectAppend(object, "unplaced", &astray);
    }

    if (!(text = virJSONValueToString(object, true)))
        return false;

    virStringTrimOptionalNewline(text);
    vshPrint(ctl, "%s\n", text);
    return true;
}


/* -- Graphviz --------------------------------------------------------------
 *
 * A bus with many slots is a box with a grid of cells. A port, which has one
 * slot, is drawn inside its cell; so a guest with 200 devices is one box.
 */

#define DOT_DEVICE "#dbeafe"
#define DOT_FREE "#dcfce7"
#define DOT_CHIPSET "#e5e7eb"
#define DOT_CONTROLLER "#fef3c7"
#define DOT_HEAD "#334155"
#define DOT_GREY "#64748b"


static void
virshDomPCIDotDevice(virBuffer *buf,
                     const virshDomPCIDevice *dev)
{
    g_autofree char *kind = virshDomPCIDeviceKind(dev);
    g_autofree char *hints = virshDomPCIDeviceHints(dev);
    const char *name = dev->target ? dev->target : dev->mac;

    virBufferEscapeString(buf, "%s", kind);
    if (dev->model)
        virBufferEscapeString(buf, " %s", dev->model);
    if (dev->target && dev->mac)
        virBufferEscapeString(buf, "<BR ALIGN=\"LEFT\"/>%s", dev->target);
    else if (!dev->mac && name)
        virBufferEscapeString(buf, " %s", name);
    if (dev->mac)
        virBufferEscapeString(buf, dev->target ? " %s" : "<BR ALIGN=\"LEFT\"/>%s", dev->mac);
    if (hints)
        virBufferEscapeString(buf, "<BR ALIGN=\"LEFT\"/><I>%s</I>", hints);
    virBufferAddLit(buf, "<BR ALIGN=\"LEFT\"/>");
}


static bool
virshDomPCIDotIsPort(const virshDomPCIBus *bus)
{
    return bus && bus->bus.minSlot == bus->bus.maxSlot;
}


static void
virshDomPCIDotController(virBuffer *buf,
                         const virshDomPCIDevice *dev)
{
    virBufferEscapeString(buf, "%s", dev->model);
    virBufferAsprintf(buf, " %u", dev->idx);
    if (dev->hotplugOff)
        virBufferAddLit(buf, " hotplug=off");
}


/* A cell of the grid: an address, what is there, and behind a port what is
 * in its slot */
static void
virshDomPCIDotCell(virBuffer *buf,
                   virshDomPCIBus *bus,
                   const virshDomPCIItem *item)
{
    g_auto(virBuffer) text = VIR_BUFFER_INITIALIZER;
    const char *fill = DOT_DEVICE;
    const char *style = "";
    g_autofree char *addr = NULL;

    if (!item->dev) {
        size_t n = item->last - item->first + 1;

        addr = virshDomPCISlotsFormat(bus->dev->idx, item->first, item->last);
        fill = DOT_FREE;
        style = " STYLE=\"DASHED\"";
        virBufferAsprintf(&text, n == 1 ? "free" : "%zu free", n);
        if (bus->isolated)
            virBufferAddLit(&text, " (isolated)");
        virBufferAddLit(&text, "<BR ALIGN=\"LEFT\"/>");
    } else if (item->bus && virshDomPCIDotIsPort(item->bus)) {
        size_t function;
        bool any = false;

        addr = virshDomPCIAddressFormat(&item->dev->addr);
        for (function = 0; function < FUNCTIONS; function++) {
            virshDomPCIDevice *dev = item->bus->fn[item->bus->bus.minSlot][function];

            if (!dev)
                continue;
            any = true;
            if (dev->isController) {
                fill = DOT_CONTROLLER;
                virshDomPCIDotController(&text, dev);
                virBufferAddLit(&text, "<BR ALIGN=\"LEFT\"/>");
            } else {
                virshDomPCIDotDevice(&text, dev);
            }
        }
        if (!any) {
            if (virshDomPCIBusHotplugs(item->bus)) {
                fill = DOT_FREE;
                style = " STYLE=\"DASHED\"";
                virBufferAddLit(&text, "free<BR ALIGN=\"LEFT\"/>");
            } else {
                fill = "#ffffff";
                virBufferAddLit(&text, "empty, no hotplug<BR ALIGN=\"LEFT\"/>");
            }
        }
    } else if (item->bus) {
        addr = virshDomPCIAddressFormat(&item->dev->addr);
        fill = DOT_CONTROLLER;
        virshDomPCIDotController(&text, item->dev);
        virBufferAddLit(&text, "<BR ALIGN=\"LEFT\"/>");
    } else {
        addr = virshDomPCIAddressFormat(&item->dev->addr);
        if (STREQ(item->dev->type, "chipset"))
            fill = DOT_CHIPSET;
        virshDomPCIDotDevice(&text, item->dev);
    }

    virBufferAsprintf(buf, "<TD PORT=\"s%zuf%u\" BGCOLOR=\"%s\"%s ALIGN=\"LEFT\" BALIGN=\"LEFT\">"
                      "<FONT POINT-SIZE=\"8\" COLOR=\"" DOT_GREY "\">%s",
                      item->first, item->dev ? item->dev->addr.function : 0,
                      fill, style, addr);
    if (item->bus && virshDomPCIDotIsPort(item->bus)) {
        virBufferAddLit(buf, " ");
        virshDomPCIDotController(buf, item->dev);
    }
    virBufferAsprintf(buf, "</FONT><BR ALIGN=\"LEFT\"/>%s</TD>",
                      virBufferCurrentContent(&text));
}


/* The bus that an edge leads to from @function behind @item: @item itself is a
 * bridge, or a port that holds one. */
static virshDomPCIBus *
virshDomPCIDotNext(virshDomPCI *pci,
                   const virshDomPCIItem *item,
                   size_t function)
{
    virshDomPCIDevice *dev = NULL;

    if (!virshDomPCIDotIsPort(item->bus))
        return function == 0 ? item->bus : NULL;

    dev = item->bus->fn[item->bus->bus.minSlot][function];

    return dev && dev->isController ? pci->buses[dev->idx] : NULL;
}


static bool
virshDomPCIDotLeadsOn(virshDomPCI *pci,
                      const virshDomPCIItem *item)
{
    size_t function;

    for (function = 0; function < FUNCTIONS; function++) {
        if (virshDomPCIDotNext(pci, item, function))
            return true;
    }

    return false;
}


static void
virshDomPCIDotBus(virshDomPCI *pci,
                  virBuffer *buf,
                  virshDomPCIBus *bus,
                  bool onlyFree)
{
    g_autoptr(GArray) items = virshDomPCIBusItems(pci, bus, onlyFree);
    g_autoptr(GPtrArray) leaves = g_ptr_array_new();
    g_autoptr(GPtrArray) links = g_ptr_array_new();
    size_t columns = 1;
    size_t rows;
    size_t i;
    size_t j;

    for (i = 0; i < items->len; i++) {
        virshDomPCIItem *item = &g_array_index(items, virshDomPCIItem, i);

        g_ptr_array_add(virshDomPCIDotLeadsOn(pci, item) ? links : leaves, item);
    }

    /* Cells are about four times as wide as high. Boxes with many of them that
     * stand above each other may be wide. */
    while (columns * columns * (bus->dev->placed && leaves->len > 8 ? 1 : 4) < leaves->len)
        columns++;
    rows = MAX(VIR_DIV_UP(leaves->len, columns), MAX(1, links->len));
    columns = VIR_DIV_UP(leaves->len, rows);

    bus->shown = true;
    virBufferAsprintf(buf, "  bus%u [label=<\n"
                      "<TABLE BORDER=\"0\" CELLBORDER=\"1\" CELLSPACING=\"3\" CELLPADDING=\"3\" COLOR=\"#94a3b8\">\n"
                      "<TR><TD PORT=\"head\" COLSPAN=\"%zu\" BGCOLOR=\"" DOT_HEAD "\"><FONT COLOR=\"white\"><B>",
                      bus->dev->idx, MAX(1, columns + (links->len > 0)));
    virshDomPCIDotController(buf, bus->dev);
    virBufferAddLit(buf, "</B>");
    if (bus->dev->busNr)
        virBufferEscapeString(buf, ", bus number %s", bus->dev->busNr);
    if (bus->dev->node)
        virBufferEscapeString(buf, ", NUMA node %s", bus->dev->node);
    if (virshDomPCIBusHotplugs(bus))
        virBufferAsprintf(buf, ", %u free", virshDomPCIBusCountFree(bus));
    else
        virBufferAddLit(buf, ", no hotplug");
    virBufferAddLit(buf, "</FONT></TD></TR>\n");

    /* Neighbours are below each other; what leads on is on the right, from
     * where the edges go. */
    for (i = 0; i < rows && items->len > 0; i++) {
        virBufferAddLit(buf, "<TR>");
        for (j = 0; j < columns; j++) {
            size_t n = j * rows + i;

            if (n < leaves->len)
                virshDomPCIDotCell(buf, bus, g_ptr_array_index(leaves, n));
            else
                virBufferAddLit(buf, "<TD BORDER=\"0\"></TD>");
        }
        if (i < links->len)
            virshDomPCIDotCell(buf, bus, g_ptr_array_index(links, i));
        else if (links->len > 0)
            virBufferAddLit(buf, "<TD BORDER=\"0\"></TD>");
        virBufferAddLit(buf, "</TR>\n");
    }
    virBufferAddLit(buf, "</TABLE>>];\n");

    for (i = 0; i < items->len; i++) {
        virshDomPCIItem *item = &g_array_index(items, virshDomPCIItem, i);
        size_t function;

        if (virshDomPCIDotIsPort(item->bus))
            item->bus->shown = true;

        for (function = 0; function < FUNCTIONS; function++) {
            virshDomPCIBus *next = virshDomPCIDotNext(pci, item, function);

            if (!next ||
                (onlyFree && !virshDomPCIBusLeadsToFree(pci, next, 0)))
                continue;

            virBufferAsprintf(buf, "  bus%u:s%zuf%u:e -> bus%u:head:w;\n",
                              bus->dev->idx, item->first,
                              item->dev->addr.function, next->dev->idx);
            if (!next->shown)
                virshDomPCIDotBus(pci, buf, next, onlyFree);
        }
    }
}


static void
virshDomPCIShowDot(vshControl *ctl,
                   virshDomPCI *pci,
                   bool onlyFree)
{
    g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
    g_auto(virBuffer) roots = VIR_BUFFER_INITIALIZER;
    g_autofree char *summary = virshDomPCISummary(pci);
    g_autofree char *text = NULL;
    bool first = true;
    size_t i;

    virBufferAddLit(&buf, "digraph pci {\n"
                    "  graph [rankdir=LR, nodesep=0.3, ranksep=0.7, fontname=\"Helvetica\", fontsize=13, labelloc=t, label=<");
    virBufferEscapeString(&buf, "<B>%s</B>", NULLSTR_MINUS(pci->name));
    if (pci->machine)
        virBufferEscapeString(&buf, " (%s)", pci->machine);
    virBufferEscapeString(&buf, "<BR/>%s>];\n", summary);
    virBufferAddLit(&buf, "  node [shape=plain, fontname=\"Helvetica\", fontsize=10];\n"
                    "  edge [color=\"#64748b\", arrowsize=0.6];\n");

    for (i = 0; i < 2 * BUSES; i++) {
        virshDomPCIBus *bus = pci->buses[i % BUSES];

        if (!bus || bus->shown ||
            (i < BUSES && !virshDomPCIModelIsRoot(bus->dev->pciModel)) ||
            (onlyFree && !virshDomPCIBusLeadsToFree(pci, bus, 0)))
            continue;
        virshDomPCIDotBus(pci, &buf, bus, onlyFree);

        /* roots are below each other */
        virBufferAsprintf(&roots, "%sbus%u", first ? "" : " -> ", bus->dev->idx);
        first = false;
    }
    if (!first) {
        virBufferAsprintf(&buf, "  { rank=same; edge [style=invis]; %s; }\n",
                          virBufferCurrentContent(&roots));
    }
    virBufferAddLit(&buf, "}");

    text = virBufferContentAndReset(&buf);
    vshPrint(ctl, "%s\n", text);
}


/* -- the command ----------------------------------------------------------- */

VSH_CMD_INFO(info_dompci) =
    VSH_CMD_INFO_TEXTS(N_("show the PCI topology and the free slots of a domain"),
                       N_("Show which PCI controllers a domain has, where its devices are "
                          "plugged in, and which slots are free."));


static char **
virshDomPCIFormatCompleter(vshControl *ctl G_GNUC_UNUSED,
                           const vshCmd *cmd G_GNUC_UNUSED,
                           unsigned int flags)
{
    virCheckFlags(0, NULL);

    return virshEnumComplete(VIRSH_DOMPCI_FORMAT_LAST,
                             virshDomPCIFormatTypeToString);
}


const vshCmdOptDef opts_dompci[] = {
    {.name = "domain",
     .type = VSH_OT_STRING,
     VSH_OPT_POSITION(true),
     .help = N_("domain name, id or uuid"),
     .completer = virshDomainNameCompleter,
    },
    {.name = "file",
     .type = VSH_OT_STRING,
     VSH_OPT_POSITION(false),
     .help = N_("show the domain XML in this file instead of a domain"),
     .completer = virshCompletePathLocalExisting,
    },
    {.name = "format",
     .type = VSH_OT_STRING,
     VSH_OPT_POSITION(false),
     .help = N_("output format: tree, table, json or dot"),
     .completer = virshDomPCIFormatCompleter,
    },
    {.name = "inactive",
     .type = VSH_OT_BOOL,
     .help = N_("show the inactive rather than the running configuration")
    },
    {.name = "plan",
     .type = VSH_OT_BOOL,
     .help = N_("complete the file as define would, without defining anything")
    },
    {.name = "free",
     .type = VSH_OT_BOOL,
     .help = N_("show only free hotpluggable slots and what leads to them")
    },
    {.name = NULL}
};


bool
cmdDomPCI(vshControl *ctl,
          const vshCmd *cmd)
{
    const char *file = NULL;
    const char *formatName = NULL;
    int format = VIRSH_DOMPCI_FORMAT_TREE;
    bool plan = vshCommandOptBool(cmd, "plan");
    bool onlyFree = vshCommandOptBool(cmd, "free");
    bool inexact = false;
    virshControl *priv = ctl->privData;
    g_autoptr(xmlDoc) xml = NULL;
    g_autoptr(xmlXPathContext) ctxt = NULL;
    g_autoptr(virshDomPCI) pci = NULL;

    VSH_EXCLUSIVE_OPTIONS("domain", "file");
    VSH_EXCLUSIVE_OPTIONS("inactive", "file");
    VSH_REQUIRE_OPTION("plan", "file");

    if (VSH_OPT_STRING(ctl, cmd, "file", &file) < 0 ||
        VSH_OPT_STRING(ctl, cmd, "format", &formatName) < 0)
        return false;

    if (formatName &&
        (format = virshDomPCIFormatTypeFromString(formatName)) < 0) {
        vshError(ctl, _("unknown format '%1$s': use tree, table, json or dot"),
                 formatName);
        return false;
    }

    if (!file && !vshCommandOptBool(cmd, "domain")) {
        vshError(ctl, "%s", _("either a domain or --file is needed"));
        return false;
    }

    if ((!file || plan) && !ctl->hooks->connHandler(ctl))
        return false;

    if (file) {
        g_autofree char *text = NULL;

        if (virFileReadAll(file, VSH_MAX_XML_FILE, &text) < 0) {
            vshSaveLibvirtError();
            return false;
        }
        if (!(xml = virXMLParseStringCtxt(text, file, &ctxt))) {
            vshSaveLibvirtError();
            return false;
        }
        if (!virXMLNodeNameEqual(ctxt->node, "domain")) {
            vshError(ctl, _("'%1$s' is not domain XML: its root element is <%2$s>"),
                     file, (const char *) ctxt->node->name);
            return false;
        }
        if (plan && virshDomPCIPlan(priv->conn, xml, &inexact) < 0) {
            vshSaveLibvirtError();
            return false;
        }
    } else {
        unsigned int flags = 0;

        if (vshCommandOptBool(cmd, "inactive"))
            flags |= VIR_DOMAIN_XML_INACTIVE;
        if (virshDomainGetXML(ctl, cmd, flags, &xml, &ctxt) < 0)
            return false;
    }

    if (!(pci = virshDomPCIParse(xml))) {
        vshSaveLibvirtError();
        return false;
    }
    pci->planned = plan;
    pci->plannable = file && !plan;
    pci->inexact = inexact;

    switch ((virshDomPCIFormat) format) {
    case VIRSH_DOMPCI_FORMAT_TREE:
        virshDomPCIShowTree(ctl, pci, onlyFree);
        break;
    case VIRSH_DOMPCI_FORMAT_TABLE:
        return virshDomPCIShowTable(ctl, pci, onlyFree);
    case VIRSH_DOMPCI_FORMAT_JSON:
        return virshDomPCIShowJSON(ctl, pci, onlyFree);
    case VIRSH_DOMPCI_FORMAT_DOT:
        virshDomPCIShowDot(ctl, pci, onlyFree);
        break;
    case VIRSH_DOMPCI_FORMAT_LAST:
        break;
    }

    return true;
}

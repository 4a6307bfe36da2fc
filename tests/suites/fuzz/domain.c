/*
 * domain.c: fuzz target for domain XML: parse, which assigns addresses, format,
 * and both again
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Nothing is started and no emulator is needed: what QEMU can do comes from the
 * data of libvirt's own tests. What the first round accepts must come back from
 * the next ones as it is.
 */

#include <config.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "testutils.h"
#include "testutilsqemu.h"
#include "virfilewrapper.h"
#include "configmake.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virxml.h"
#include "domain_pci_topology.h"
#include "qemu/qemu_pci_answer.h"
#include "virjson.h"
#define LIBVIRT_QEMU_CAPSPRIV_H_ALLOW
#include "qemu/qemu_capspriv.h"

#define VIR_FROM_THIS VIR_FROM_NONE

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

/* as define does, and as definitions are loaded when the daemon starts */
#define DEFINE (VIR_DOMAIN_DEF_PARSE_INACTIVE | VIR_DOMAIN_DEF_PARSE_ABI_UPDATE)
#define LOAD (VIR_DOMAIN_DEF_PARSE_INACTIVE | VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE)
#define FORMAT (VIR_DOMAIN_DEF_FORMAT_INACTIVE | VIR_DOMAIN_DEF_FORMAT_SECURE)

static virQEMUDriver driver;


static void
testQuiet(void *opaque G_GNUC_UNUSED,
          virErrorPtr error G_GNUC_UNUSED)
{
}


static virQEMUCaps *
testCapsInsert(virArch arch,
               const char *emulator)
{
    g_autofree char *file = testQemuGetLatestCapsForArch(virArchToString(arch), "xml");
    virQEMUCaps *caps = NULL;

    if (!file ||
        !(caps = qemuTestParseCapabilitiesArch(arch, file)) ||
        virFileCacheInsertData(driver.qemuCapsCache, emulator, caps) < 0)
        abort();

    return caps;
}


int
LLVMFuzzerInitialize(int *argc G_GNUC_UNUSED,
                     char ***argv G_GNUC_UNUSED)
{
    virQEMUCaps *old;

    g_setenv("HOME", "/nonexistent", TRUE);
    g_setenv("XDG_RUNTIME_DIR", "/nonexistent", TRUE);
    /* nothing that an input names is run */
    g_setenv("PATH", "/nonexistent", TRUE);
    /* the CPU models of this tree */
    g_setenv("LIBVIRT_DIR_OVERRIDE", "1", TRUE);
    virFileActivateDirOverrideForLib();
    virSetErrorFunc(NULL, testQuiet);
    if (virErrorInitialize() < 0 ||
        virLogSetOutputs("4:file:/dev/null") < 0)
        abort();

    virFileWrapperAddPrefix(SYSCONFDIR "/qemu/firmware",
                            abs_srcdir "/qemufirmwaredata/etc/qemu/firmware");
    virFileWrapperAddPrefix(PREFIX "/share/qemu/firmware",
                            abs_srcdir "/qemufirmwaredata/usr/share/qemu/firmware");
    if (qemuTestDriverInit(&driver) < 0)
        abort();
    driver.privileged = true;
    if (!(driver.domains = virDomainObjListNew()))
        abort();
    testCapsInsert(VIR_ARCH_X86_64, "/usr/bin/qemu-system-x86_64");
    testCapsInsert(VIR_ARCH_AARCH64, "/usr/bin/qemu-system-aarch64");
    testCapsInsert(VIR_ARCH_PPC64, "/usr/bin/qemu-system-ppc64");
    testCapsInsert(VIR_ARCH_RISCV64, "/usr/bin/qemu-system-riscv64");
    testCapsInsert(VIR_ARCH_S390X, "/usr/bin/qemu-system-s390x");
    /* another chain of controllers leads to conventional slots there */
    old = testCapsInsert(VIR_ARCH_X86_64, "/usr/bin/qemu-old");
    virQEMUCapsClear(old, QEMU_CAPS_DEVICE_PCIE_PCI_BRIDGE);

    return 0;
}


/* -- what must hold ------------------------------------------------------- */

typedef struct {
    GPtrArray *places;
    GHashTable *seen;   /* name -> how many have it */
} testPlacesData;


static int
testPlaceIter(virDomainDef *def G_GNUC_UNUSED,
              virDomainDeviceDef *dev,
              virDomainDeviceInfo *info,
              void *opaque)
{
    testPlacesData *data = opaque;
    g_autofree char *name = virDomainPCIDeviceName(dev);
    g_autofree char *address = NULL;
    unsigned int number;

    /* a PS/2 device has no place on PCI, whatever address somebody writes */
    if (dev->type == VIR_DOMAIN_DEVICE_INPUT &&
        dev->data.input->bus == VIR_DOMAIN_INPUT_BUS_PS2)
        return 0;

    /* companions have the index of their master */
    if (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER) {
        g_autofree char *whole = g_strdup_printf("%s model %d", name, dev->data.controller->model);
        g_free(name);
        name = g_steal_pointer(&whole);
    }

    /* slot 0 of bus 0 is libvirt's sign for "none yet", whatever the function */
    if (info->type == VIR_DOMAIN_DEVICE_ADDRESS_TYPE_PCI &&
        !virPCIDeviceAddressIsEmpty(&info->addr.pci))
        address = virPCIDeviceAddressAsString(&info->addr.pci);

    if (dev->type == VIR_DOMAIN_DEVICE_CONTROLLER &&
        dev->data.controller->type == VIR_DOMAIN_CONTROLLER_TYPE_PCI) {
        g_ptr_array_add(data->places, g_strdup_printf("%s at %s", name, address ? address : "none"));
    } else if (address) {
        /* the order of what has the same name stays */
        number = GPOINTER_TO_UINT(g_hash_table_lookup(data->seen, name)) + 1;
        g_hash_table_insert(data->seen, g_strdup(name), GUINT_TO_POINTER(number));
        g_ptr_array_add(data->places, g_strdup_printf("%s no. %u at %s", name, number, address));
    }
    return 0;
}


static int
testCompareStrings(gconstpointer a,
                   gconstpointer b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}


/* Devices, those with a PCI address and PCI controllers, in one text */
static char *
testPlaces(virDomainDef *def)
{
    g_autoptr(GPtrArray) places = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    testPlacesData data = { places, seen };
    GString *text = g_string_new(NULL);
    size_t i;

    virDomainDeviceInfoIterate(def, testPlaceIter, &data);
    g_ptr_array_sort(places, testCompareStrings);
    for (i = 0; i < places->len; i++)
        g_string_append_printf(text, "%s\n", (char *) g_ptr_array_index(places, i));

    return g_string_free(text, FALSE);
}


static void
testFail(const char *what,
         const char *before,
         const char *after)
{
    fprintf(stderr, "BROKEN: %s: %s\n--- before\n%s\n--- after\n%s\n",
            what, virGetLastErrorMessage(), NULLSTR(before), NULLSTR(after));
    abort();
}


/* Whether XML is refused before a driver, and so the planner, has seen it.
 * libvirt's parser returns without an error for <nvram type='network'/> that has
 * no source, for example. */
static bool
testRefusedByParser(const char *xml,
                    unsigned int flags)
{
    g_autoptr(virDomainXMLOption) common = virDomainXMLOptionNew(NULL, NULL, NULL, NULL, NULL, NULL);
    g_autoptr(virDomainDef) def = virDomainDefParseString(xml, common, NULL,
                                                          flags | VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE);

    return !def && virGetLastErrorCode() == VIR_ERR_OK;
}


static virDomainDef *
testParse(const char *xml,
          unsigned int flags)
{
    virDomainDef *def;

    virResetLastError();
    def = virDomainDefParseString(xml, driver.xmlopt, NULL, flags);
    if (!def && virGetLastErrorCode() == VIR_ERR_OK && !testRefusedByParser(xml, flags))
        testFail("refused without an error", xml, NULL);
    if (!def && g_str_has_prefix(virGetLastErrorMessage(), "internal error: planning of PCI controllers"))
        testFail("planning goes round in circles", xml, NULL);
    return def;
}


/* libvirt, with and without the series, accepts some definitions of which it
 * refuses what it has formatted them to: a USB controller beside a disabled one
 * with another index, for example. Only what speaks of PCI is of concern here. */
static bool
testConcernsPCI(const char *message)
{
    static const char *const words[] = {
        "PCI", "slot", "hotplug", "preference", "preferredConnection", "busHint", "planning",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strstr(message, words[i]))
            return true;
    }
    return false;
}


/* One that has been accepted is accepted again, with all in its place. Returns
 * NULL if it is refused for reasons that are not ours. */
static char *
testAgain(const char *xml,
          unsigned int flags,
          const char *what,
          const char *places)
{
    g_autoptr(virDomainDef) def = testParse(xml, flags);
    g_autofree char *again = NULL;
    char *formatted;

    if (!def && !testConcernsPCI(virGetLastErrorMessage()))
        return NULL;
    if (!def)
        testFail(what, xml, "refused");
    again = testPlaces(def);
    if (STRNEQ(places, again))
        testFail(what, places, again);
    if (!(formatted = virDomainDefFormat(def, driver.xmlopt, FORMAT)))
        testFail(what, xml, "cannot be formatted");
    return formatted;
}


/* What clients can ask about XML. Only what define accepts has an answer, but for XML in which all is in its place:
 * that is not validated. Of what was planned as many slots are free as of what it was planned to. */
static void
testAnswers(const char *xml,
            const virDomainDef *def,
            const char *formatted)
{
    g_autofree char *planned = qemuPCIAnswer(&driver, "planned-xml", xml);
    g_autofree char *before = qemuPCIAnswer(&driver, "pci-topology", xml);
    g_autofree char *after = NULL;
    g_autoptr(virJSONValue) old = NULL;
    g_autoptr(virJSONValue) new = NULL;
    bool wasPlanned = false;

    if (!def) {
        if (planned)
            testFail("planned what define refuses", xml, planned);
        return;
    }
    /* a name that is no file name is refused after parsing */
    if (strchr(def->name, '\n'))
        return;
    if (!planned || !before || !(after = qemuPCIAnswer(&driver, "pci-topology", formatted)))
        testFail("no answer", xml, formatted);
    if (!(old = virJSONValueFromString(before)) || !(new = virJSONValueFromString(after)) ||
        virJSONValueObjectGetBoolean(old, "planned", &wasPlanned) < 0)
        testFail("an answer that is no JSON", before, after);

    if (wasPlanned) {
        g_autofree char *count = virJSONValueToString(virJSONValueObjectGet(old, "free"), false);
        g_autofree char *again = virJSONValueToString(virJSONValueObjectGet(new, "free"), false);

        if (STRNEQ(count, again))
            testFail("other slots are free in the plan than in the definition", count, again);
    }
}


/* Numbers beyond which libvirt takes minutes or gigabytes before it has looked at
 * PCI. Each is a finding of docs/robustness.md. */
static const struct {
    const char *element;
    const char *type;        /* NULL: any */
    const char *attribute;   /* NULL: the text of the element */
    unsigned long long most;
} beyond[] = {
    { "vcpu", NULL, NULL, 4096 },
    { "iothreads", NULL, NULL, 4096 },
    { "address", "drive", "controller", 4096 },
    { "controller", "usb", "index", 65536 },
};


static bool
testTooLarge(xmlNodePtr node)
{
    g_autofree char *type = virXMLPropString(node, "type");
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(beyond); i++) {
        g_autofree char *number = NULL;

        if (!virXMLNodeNameEqual(node, beyond[i].element) ||
            (beyond[i].type && STRNEQ_NULLABLE(type, beyond[i].type)))
            continue;
        number = beyond[i].attribute ? virXMLPropString(node, beyond[i].attribute) : virXMLNodeContentString(node);
        if (number && g_ascii_strtoull(number, NULL, 10) > beyond[i].most)
            return true;
    }

    return false;
}


/* What libvirt cannot read without harm, with and without the series */
static bool
testLeftOut(xmlNodePtr node)
{
    for (; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;

        /* it writes behind an array when distances are given in a way that it does not expect */
        if (virXMLNodeNameEqual(node, "distances") || testTooLarge(node))
            return true;

        /* a disk gets all the controllers up to its own, and sdzzzzz has number 12356629 */
        if (virXMLNodeNameEqual(node, "target")) {
            g_autofree char *name = virXMLPropString(node, "dev");

            if (name && strlen(name) > 5)
                return true;
        }

        if (testLeftOut(node->children))
            return true;
    }

    return false;
}


static bool
testTextLeftOut(const char *xml)
{
    xmlDocPtr doc = xmlReadMemory(xml, strlen(xml), NULL, NULL,
                                  XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET);
    bool ret = doc && testLeftOut(xmlDocGetRootElement(doc));

    xmlFreeDoc(doc);
    return ret;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data,
                       size_t size)
{
    g_autofree char *xml = g_strndup((const char *) data, size);
    g_autoptr(virDomainDef) def = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;
    g_autofree char *loaded = NULL;
    g_autofree char *places = NULL;

    if (testTextLeftOut(xml))
        return 0;
    if (!(def = testParse(xml, DEFINE))) {
        testAnswers(xml, NULL, NULL);
        return 0;
    }
    if (!(first = virDomainDefFormat(def, driver.xmlopt, FORMAT)))
        return 0;

    places = testPlaces(def);
    if (!(second = testAgain(first, DEFINE, "defined from what it was formatted to", places)))
        return 0;
    testAnswers(xml, def, first);
    third = testAgain(second, DEFINE, "defined once more", places);
    if (third && STRNEQ(second, third))
        testFail("another text in the third round", second, third);
    loaded = testAgain(first, LOAD, "loaded", places);
    return 0;
}


/* -- inputs --------------------------------------------------------------- */

static unsigned int random_state;

static unsigned int
testRandom(unsigned int limit)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 8) % limit;
}

#define ONE_OF(list) list[testRandom(G_N_ELEMENTS(list))]

static const char *const models[] = {
    "pci-root", "pcie-root", "pci-bridge", "dmi-to-pci-bridge", "pcie-to-pci-bridge",
    "pcie-root-port", "pcie-root-port", "pcie-switch-upstream-port",
    "pcie-switch-downstream-port", "pci-expander-bus", "pcie-expander-bus",
};

/* arch, machine, emulator */
static const char *const machines[][3] = {
    { "x86_64", "q35", "/usr/bin/qemu-system-x86_64" },
    { "x86_64", "q35", "/usr/bin/qemu-system-x86_64" },
    { "x86_64", "pc", "/usr/bin/qemu-system-x86_64" },
    { "x86_64", "q35", "/usr/bin/qemu-old" },
    { "x86_64", "isapc", "/usr/bin/qemu-system-x86_64" },
    { "aarch64", "virt", "/usr/bin/qemu-system-aarch64" },
    { "riscv64", "virt", "/usr/bin/qemu-system-riscv64" },
    { "ppc64", "pseries", "/usr/bin/qemu-system-ppc64" },
    { "s390x", "s390-ccw-virtio", "/usr/bin/qemu-system-s390x" },
};

static const char *const values[] = {
    "0", "1", "2", "3", "4", "7", "8", "15", "16", "30", "31", "32", "63", "127", "254", "255",
    "256", "65535", "65536", "4294967295", "4294967296", "-1", "0x1f", "0xffffffff", "", "yes",
    "no", "on", "off", "pci", "pcie", "none", "virtio", "virtio-transitional",
    "virtio-non-transitional", "virtio-mmio", "e1000", "e1000e", "rtl8139", "pcnet", "lsilogic",
    "qemu-xhci", "ich9-ehci1", "i6300esb", "intel", "smmuv3", "vfio-pci", "default",
};

static const char *const small[] = { "0", "0", "1", "1", "2", "3", "4", "5", "8", "30", "31", "255" };

static const char *const devices[] = {
    "<interface type='user'><model type='virtio'/></interface>",
    "<interface type='user'><model type='e1000'/></interface>",
    "<interface type='user'><model type='rtl8139'/></interface>",
    "<interface type='user'><model type='e1000e'/></interface>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    "<controller type='scsi' model='virtio-scsi'/>",
    "<controller type='scsi' model='lsilogic'/>",
    "<controller type='usb' model='qemu-xhci'/>",
    "<controller type='usb' model='none'/>",
    "<controller type='usb' model='ich9-ehci1' index='1'/>",
    "<controller type='usb' model='ich9-uhci1' index='1'><master startport='0'/></controller>",
    "<controller type='virtio-serial'/>",
    "<controller type='sata'/>",
    "<sound model='ich6'/>", "<sound model='ich9'/>", "<sound model='ac97'/>",
    "<video><model type='virtio'/></video>", "<video><model type='qxl'/></video>",
    "<watchdog model='i6300esb' action='reset'/>",
    "<memballoon model='none'/>", "<memballoon model='virtio'/>",
    "<input type='tablet' bus='virtio'/>",
    "<vsock model='virtio'><cid auto='no' address='3'/></vsock>",
    "<iommu model='intel'/>", "<iommu model='virtio'/>", "<iommu model='smmuv3'/>",
    "<shmem name='s'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
    "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='254' slot='1' function='0'/></source></hostdev>",
    "<serial type='pty'><target type='pci-serial'/></serial>",
    "<filesystem type='mount'><source dir='/export'/><target dir='tag'/></filesystem>",
    "<panic model='pvpanic'/>",
    "<disk type='file' device='disk'><source file='/d'/><target dev='sda' bus='scsi'/></disk>",
    "<disk type='file' device='disk'><source file='/e'/><target dev='sdb' bus='sata'/></disk>",
    "<disk type='file' device='disk'><source file='/f'/><target dev='sdc' bus='usb'/></disk>",
};


static void
testCollect(xmlNodePtr node,
            GPtrArray *elements)
{
    for (; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE) {
            g_ptr_array_add(elements, node);
            testCollect(node->children, elements);
        }
    }
}


static xmlNodePtr
testChild(xmlNodePtr parent,
          const char *name)
{
    xmlNodePtr node;

    for (node = parent->children; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && xmlStrEqual(node->name, BAD_CAST name))
            return node;
    }
    return xmlNewChild(parent, NULL, BAD_CAST name, NULL);
}


static void
testSet(xmlNodePtr node,
        const char *name,
        const char *value)
{
    xmlSetProp(node, BAD_CAST name, BAD_CAST value);
}


static void
testAddXML(xmlDocPtr doc,
           xmlNodePtr parent,
           const char *xml)
{
    xmlDocPtr part = xmlReadMemory(xml, strlen(xml), NULL, NULL, XML_PARSE_NONET);
    xmlNodePtr copy;

    if (part && (copy = xmlDocCopyNode(xmlDocGetRootElement(part), doc, 1)))
        xmlAddChild(parent, copy);
    xmlFreeDoc(part);
}


/* A target for a disk that is not in use, or libvirt would only find fault with that */
static void
testRetarget(xmlNodePtr node)
{
    g_autofree char *name = NULL;
    xmlNodePtr target = testChild(node, "target");
    xmlChar *bus = xmlGetProp(target, BAD_CAST "bus");

    name = g_strdup_printf("%s%c%c", bus && STREQ((char *) bus, "virtio") ? "vd" : "sd",
                           'a' + testRandom(26), 'a' + testRandom(26));
    testSet(target, "dev", name);
    xmlFree(bus);
}


static xmlNodePtr
testAddress(xmlNodePtr device)
{
    xmlNodePtr address = testChild(device, "address");

    testSet(address, "type", "pci");
    return address;
}


static void
testEdit(xmlDocPtr doc)
{
    static const char *const preferences[] = {
        "pcieHotplugSlots", "pcieHotplugSlots", "pciHotplugSlots", "pciHotplugSlots",
        "defaultAddressType", "hotpluggable", "hostdevPlacement", "pciGroup", "pciGroup",
    };
    static const char *const hints[] = { "hotpluggable", "busHint", "preferredConnection", "node", "group", "group" };
    static const char *const classes[] = { "pci", "pcie" };
    static const char *const windows[] = { "memReserve", "pref64Reserve", "ioReserve" };
    static const char *const sizes[] = { "0", "4", "4", "8", "1024", "65536", "8388608", "4398046511104" };
    static const char *const cells[] = { "0", "0", "1", "1", "7" };
    static const char *const numbers[] = { "1", "2", "250", "253", "254" };
    static const char *const groups[] = { "a", "a", "b" };
    static const char *const shares[] = { "slot", "switch", "root" };
    static const char *const answers[] = { "yes", "no" };
    static const char *const types[] = { "pci", "virtio-mmio" };
    g_autoptr(GPtrArray) elements = g_ptr_array_new();
    xmlNodePtr domain = xmlDocGetRootElement(doc);
    xmlNodePtr all;
    xmlNodePtr node;
    xmlNodePtr other;
    xmlNodePtr device = NULL;
    size_t ndevices = 0;
    char number[16];

    if (!domain)
        return;
    all = testChild(domain, "devices");
    testCollect(domain, elements);
    node = g_ptr_array_index(elements, testRandom(elements->len));
    for (other = all->children; other; other = other->next) {
        if (other->type == XML_ELEMENT_NODE && testRandom(++ndevices) == 0)
            device = other;
    }

    switch (testRandom(16)) {
    case 0:
    case 1:
        testAddXML(doc, all, ONE_OF(devices));
        break;

    case 2: /* the same device more often */
        if (device) {
            unsigned int i;
            for (i = 1 << testRandom(6); i > 0; i--) {
                other = xmlDocCopyNode(device, doc, 1);
                xmlAddChild(all, other);
                if (xmlStrEqual(other->name, BAD_CAST "disk"))
                    testRetarget(other);
            }
        }
        break;

    case 3:
        if (device) {
            xmlUnlinkNode(device);
            xmlFreeNode(device);
        }
        break;

    case 4:
        if (node != domain && node != all) {
            xmlUnlinkNode(node);
            xmlFreeNode(node);
        }
        break;

    case 5: /* somewhere else in the tree */
        other = g_ptr_array_index(elements, testRandom(elements->len));
        if ((node = xmlDocCopyNode(node, doc, 1)))
            xmlAddChild(other, node);
        break;

    case 6: /* another value of an attribute */
        if (node->properties) {
            xmlAttrPtr attribute = node->properties;
            while (attribute->next && testRandom(3))
                attribute = attribute->next;
            if (testRandom(6) == 0)
                xmlRemoveProp(attribute);
            else
                testSet(node, (const char *) attribute->name,
                        testRandom(3) ? ONE_OF(values) : ONE_OF(models));
        }
        break;

    case 7:
    case 8: /* an address, written in full */
        if (device) {
            node = testAddress(device);
            testSet(node, "domain", "0");
            testSet(node, "bus", ONE_OF(small));
            testSet(node, "slot", ONE_OF(small));
            testSet(node, "function", testRandom(4) ? "0" : "1");
            if (testRandom(5) == 0)
                testSet(node, "multifunction", testRandom(2) ? "on" : "off");
        }
        break;

    case 9: /* no address */
        if (device) {
            node = testChild(device, "address");
            xmlUnlinkNode(node);
            xmlFreeNode(node);
        }
        break;

    case 10: /* a hint */
        if (device) {
            unsigned int which = testRandom(G_N_ELEMENTS(hints));
            testSet(testAddress(device), hints[which],
                    which == 0 ? ONE_OF(answers) : which == 1 ? ONE_OF(classes) : which == 2 ? ONE_OF(models) :
                    which == 3 ? ONE_OF(cells) : ONE_OF(groups));
        }
        break;

    case 11: { /* a preference */
        const char *name = ONE_OF(preferences);
        node = xmlNewChild(testChild(domain, "preferences"), NULL, BAD_CAST "preference", NULL);
        g_snprintf(number, sizeof(number), "%u", testRandom(testRandom(3) ? 6 : 120));
        testSet(node, "name", name);
        testSet(node, "value", STREQ(name, "defaultAddressType") ? ONE_OF(types) :
                STREQ(name, "hotpluggable") ? ONE_OF(answers) : STREQ(name, "hostdevPlacement") ? "numa" :
                STREQ(name, "pciGroup") ? ONE_OF(groups) : number);
        if (STREQ(name, "pciGroup")) {
            testSet(node, "share", ONE_OF(shares));
            if (testRandom(3) == 0)
                testSet(node, "spare", number);
        }
        if (testRandom(4) == 0)
            testSet(node, ONE_OF(windows), ONE_OF(sizes));
        if (testRandom(4) == 0)
            testSet(node, "node", ONE_OF(cells));
        break;
    }

    case 12:
    case 13: /* a PCI controller */
        node = xmlNewChild(all, NULL, BAD_CAST "controller", NULL);
        testSet(node, "type", "pci");
        testSet(node, "model", ONE_OF(models));
        if (testRandom(4)) {
            g_snprintf(number, sizeof(number), "%u", testRandom(testRandom(4) ? 8 : 258));
            testSet(node, "index", number);
        }
        if (testRandom(5) == 0)
            testSet(testChild(node, "target"), "hotplug", testRandom(2) ? "off" : "on");
        if (testRandom(5) == 0)
            testSet(testChild(node, "target"), ONE_OF(windows), ONE_OF(sizes));
        if (testRandom(5) == 0)
            testSet(testChild(node, "target"), "busNr", ONE_OF(numbers));
        if (testRandom(5) == 0)
            testSet(testChild(node, "target"), "group", ONE_OF(groups));
        if (testRandom(5) == 0)
            xmlNewTextChild(testChild(node, "target"), NULL, BAD_CAST "node", BAD_CAST ONE_OF(cells));
        break;

    case 14: { /* another machine */
        const char *const *machine = ONE_OF(machines);
        node = testChild(testChild(domain, "os"), "type");
        testSet(node, "arch", machine[0]);
        testSet(node, "machine", machine[1]);
        xmlNodeSetContent(testChild(all, "emulator"), BAD_CAST machine[2]);
        break;
    }

    case 15: /* with or without ACPI */
        node = testChild(domain, "features");
        other = testChild(node, "acpi");
        if (testRandom(2)) {
            xmlUnlinkNode(other);
            xmlFreeNode(other);
        }
        break;
    }
}


static void
testSilent(void *opaque G_GNUC_UNUSED,
           const char *format G_GNUC_UNUSED, ...)
{
}


size_t
LLVMFuzzerCustomMutator(uint8_t *data,
                        size_t size,
                        size_t maxSize,
                        unsigned int seed)
{
    xmlDocPtr doc = NULL;
    xmlChar *text = NULL;
    int length = 0;
    unsigned int edits;

    random_state = seed;
    xmlSetGenericErrorFunc(NULL, testSilent);

    /* now and then bytes, whether or not that is XML */
    if (testRandom(6) == 0 ||
        !(doc = xmlReadMemory((const char *) data, size, NULL, NULL,
                              XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET)))
        return LLVMFuzzerMutate(data, size, maxSize);

    for (edits = 1 + testRandom(5); edits > 0; edits--)
        testEdit(doc);
    xmlDocDumpMemory(doc, &text, &length);
    xmlFreeDoc(doc);
    if (!text || length <= 0 || length > (int) maxSize) {
        xmlFree(text);
        return LLVMFuzzerMutate(data, size, maxSize);
    }
    memcpy(data, text, length);
    xmlFree(text);
    return length;
}

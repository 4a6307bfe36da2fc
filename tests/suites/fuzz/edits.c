/*
 * edits.c: random edits of domains, and what must hold after each
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * usage: edits URI SEED COUNT EMULATORS-DIRECTORY
 *        edits --self-test
 *
 * The driver runs inside this program (URI is qemu:///embed?root=…), all goes
 * through libvirt's public functions, and what they made of a domain is read
 * from its XML alone. Prints lines "checked PROPERTY NUMBER", "fault PROPERTY TEXT"
 * and "note NUMBER TEXT".
 */

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSES 256
#define SLOTS 32
#define NAME "edited"

typedef struct {
    char *model;
    int parent;             /* index of the bus it is plugged into, -1 for none */
    bool hotplug;
    unsigned int slots;     /* mask of those that are used */
    char *group;            /* the one that the controller is for */
} Bus;

typedef struct {
    char *xml;
    xmlDocPtr doc;
    xmlNodePtr devices;
    GHashTable *places;     /* name of a device -> its address */
    GHashTable *hints;      /* name of a device -> its hints */
    char *preferences;
    GHashTable *shares;     /* name of a group -> what its members share */
    bool promised;          /* some slots are to stay free */
    int wanted[2];          /* those that are for all: conventional, PCIe */
    int found[2];           /* those that the driver says are free; only asked for if some are promised */
    int missing;            /* those that it says are not, have smaller windows, or are not of the group */
    Bus buses[BUSES];
    int last;               /* highest index of a PCI controller */
    bool i440fx;
    bool acpi;
    GString *faults;        /* addresses that two share */
} Guest;

typedef struct {
    const char *arch;
    const char *machine;
    bool express;
    bool acpi;
} Machine;

static const Machine machines[] = {
    { "x86_64", "q35", true, true },
    { "x86_64", "q35", true, true },
    { "x86_64", "q35", true, false },
    { "x86_64", "pc", false, true },
    { "x86_64", "pc", false, false },
    { "aarch64", "virt", true, false },
    { "riscv64", "virt", true, false },
    { "ppc64", "pseries", false, false },
};

static const char *const properties[] = {
    "moved", "controllers", "fixpoint", "refused", "shared", "reach", "promise", "kept", "honoured", "groups",
};
static GHashTable *checked;
static GHashTable *notes;
static GRand *dice;
static unsigned int serial;
static unsigned int edit;
static size_t faults;
static bool silent;
static char *group;         /* declaration of the group "g" of the guests that are made now, or NULL */


static void
count(GHashTable *table, const char *name)
{
    g_hash_table_insert(table, g_strdup(name),
                        GUINT_TO_POINTER(GPOINTER_TO_UINT(g_hash_table_lookup(table, name)) + 1));
}


static void
fault(const char *property, const char *step, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list list;

    va_start(list, format);
    text = g_strdup_vprintf(format, list);
    va_end(list);
    g_strdelimit(text, "\n", ' ');
    if (++faults <= 200 && !silent)
        printf("fault %s edit %u, %s: %s\n", property, edit, step, text);
}


static int
roll(int limit)
{
    return g_rand_int_range(dice, 0, limit);
}

#define ONE_OF(list) list[roll(G_N_ELEMENTS(list))]


/* -- what the XML says ---------------------------------------------------- */

static char *
attribute(xmlNodePtr node, const char *name)
{
    xmlChar *value = node ? xmlGetProp(node, BAD_CAST name) : NULL;
    char *copy = g_strdup((const char *) value);

    xmlFree(value);
    return copy;
}


static int
number(xmlNodePtr node, const char *name, int otherwise)
{
    g_autofree char *text = attribute(node, name);

    return text ? (int) strtol(text, NULL, 0) : otherwise;
}


static xmlNodePtr
child(xmlNodePtr parent, const char *name)
{
    xmlNodePtr node = parent ? parent->children : NULL;

    while (node && !(node->type == XML_ELEMENT_NODE && xmlStrEqual(node->name, BAD_CAST name)))
        node = node->next;
    return node;
}


static bool
isTag(xmlNodePtr node, const char *name)
{
    return xmlStrEqual(node->name, BAD_CAST name);
}


static bool
isPCIController(xmlNodePtr node)
{
    g_autofree char *type = isTag(node, "controller") ? attribute(node, "type") : NULL;

    return type && strcmp(type, "pci") == 0;
}


static bool
oneOf(const char *text, ...)
{
    va_list list;
    const char *each;
    bool found = false;

    va_start(list, text);
    while (!found && (each = va_arg(list, const char *)))
        found = text && strcmp(text, each) == 0;
    va_end(list);
    return found;
}


static void
guestFree(Guest *guest)
{
    size_t i;

    if (!guest)
        return;
    xmlFreeDoc(guest->doc);
    g_free(guest->xml);
    g_free(guest->preferences);
    g_hash_table_unref(guest->shares);
    g_hash_table_unref(guest->places);
    g_hash_table_unref(guest->hints);
    g_string_free(guest->faults, TRUE);
    for (i = 0; i < BUSES; i++) {
        g_free(guest->buses[i].model);
        g_free(guest->buses[i].group);
    }
    g_free(guest);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guestFree);


/* Devices have an alias of ours; what libvirt adds is told apart by its kind and order */
static char *
nameOf(xmlNodePtr device, GHashTable *seen)
{
    g_autofree char *alias = attribute(child(device, "alias"), "name");
    g_autofree char *type = attribute(device, "type");
    g_autofree char *model = attribute(device, "model");
    g_autofree char *index = attribute(device, "index");
    g_autofree char *kind = NULL;

    if (isPCIController(device))
        return g_strdup_printf("PCI controller %s", index);
    if (alias && g_str_has_prefix(alias, "ua-"))
        return g_steal_pointer(&alias);
    kind = g_strdup_printf("%s %s %s %s", (const char *) device->name, type ? type : "",
                           model ? model : "", index ? index : "");
    count(seen, kind);
    return g_strdup_printf("%s no. %u", kind, GPOINTER_TO_UINT(g_hash_table_lookup(seen, kind)));
}


static char *
hintsOf(xmlNodePtr address)
{
    g_autofree char *hotpluggable = attribute(address, "hotpluggable");
    g_autofree char *bus = attribute(address, "busHint");
    g_autofree char *connection = attribute(address, "preferredConnection");
    g_autofree char *node = attribute(address, "node");
    g_autofree char *name = attribute(address, "group");

    if (!hotpluggable && !bus && !connection && !node && !name)
        return NULL;
    return g_strdup_printf("%s/%s/%s/%s/%s", hotpluggable ? hotpluggable : "", bus ? bus : "",
                           connection ? connection : "", node ? node : "", name ? name : "");
}


static void
guestAddDevice(Guest *guest, xmlNodePtr device, GHashTable *seen, GHashTable *users)
{
    xmlNodePtr address = child(device, "address");
    g_autofree char *name = nameOf(device, seen);
    g_autofree char *type = attribute(address, "type");
    g_autofree char *where = NULL;
    char *hints = hintsOf(address);
    int bus = number(address, "bus", -1);
    int slot = number(address, "slot", -1);
    int function = number(address, "function", 0);

    if (hints)
        g_hash_table_insert(guest->hints, g_strdup(name), hints);
    if (isPCIController(device)) {
        int index = number(device, "index", 0);
        g_autofree char *hotplug = attribute(child(device, "target"), "hotplug");

        if (index >= 0 && index < BUSES) {
            g_free(guest->buses[index].model);
            guest->buses[index].model = attribute(device, "model");
            guest->buses[index].hotplug = !hotplug || strcmp(hotplug, "off") != 0;
            guest->buses[index].parent = bus;
            g_free(guest->buses[index].group);
            guest->buses[index].group = attribute(child(device, "target"), "group");
            guest->last = MAX(guest->last, index);
        }
    }
    /* to libvirt zero all over is no address */
    if (!oneOf(type, "pci", NULL) || bus < 0 || slot < 0 || (bus | slot | function) == 0) {
        g_hash_table_insert(guest->places, g_strdup(name), g_strdup(""));
        return;
    }
    where = g_strdup_printf("%02x:%02x.%x", bus, slot, function);
    if (g_hash_table_contains(users, where))
        g_string_append_printf(guest->faults, "%s has %s, and %s; ", name, where,
                               (char *) g_hash_table_lookup(users, where));
    g_hash_table_insert(users, g_strdup(where), g_strdup(name));
    g_hash_table_insert(guest->places, g_strdup(name), g_strdup(where));
    if (bus < BUSES && slot < SLOTS)
        guest->buses[bus].slots |= 1u << slot;
}


static Guest *
guestNew(const char *xml)
{
    Guest *guest = g_new0(Guest, 1);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GString) preferences = g_string_new(NULL);
    g_autofree char *machine = NULL;
    xmlNodePtr domain;
    xmlNodePtr node;
    size_t i;

    guest->xml = g_strdup(xml);
    guest->doc = xmlReadMemory(xml, strlen(xml), NULL, NULL, XML_PARSE_NONET);
    if (!guest->doc)
        g_error("no XML: %s", xml);
    guest->places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    guest->hints = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    guest->shares = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    guest->faults = g_string_new(NULL);
    for (i = 0; i < BUSES; i++)
        guest->buses[i].parent = -1;

    domain = xmlDocGetRootElement(guest->doc);
    machine = attribute(child(child(domain, "os"), "type"), "machine");
    guest->i440fx = machine && (g_str_has_prefix(machine, "pc-i440fx") || strcmp(machine, "pc") == 0);
    guest->acpi = child(child(domain, "features"), "acpi") != NULL;
    node = child(domain, "preferences");
    for (node = node ? node->children : NULL; node; node = node->next) {
        g_autofree char *name = attribute(node, "name");
        g_autofree char *value = attribute(node, "value");

        g_autofree char *mem = attribute(node, "memReserve");
        g_autofree char *pref64 = attribute(node, "pref64Reserve");
        g_autofree char *io = attribute(node, "ioReserve");

        g_autofree char *cell = attribute(node, "node");
        g_autofree char *share = attribute(node, "share");

        if (!name)
            continue;
        g_string_append_printf(preferences, "%s=%s/%s/%s/%s/%s/%s/%d ", name, value, mem ? mem : "", pref64 ? pref64 : "",
                               io ? io : "", cell ? cell : "", share ? share : "", number(node, "spare", 0));
        if (share)
            g_hash_table_insert(guest->shares, g_strdup(value), g_strdup(share));
        guest->promised |= number(node, "spare", 0) > 0 || (g_str_has_suffix(name, "HotplugSlots") && atoi(value) > 0);
        if (strcmp(name, "pciHotplugSlots") == 0)
            guest->wanted[0] += atoi(value);
        if (strcmp(name, "pcieHotplugSlots") == 0)
            guest->wanted[1] += atoi(value);
    }
    guest->preferences = g_strdup(preferences->str);
    guest->devices = child(domain, "devices");
    for (node = guest->devices->children; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && !isTag(node, "emulator") && !isTag(node, "graphics"))
            guestAddDevice(guest, node, seen, users);
    }
    return guest;
}


/* Does QEMU accept devices on this bus while the guest runs? */
static bool
hotplugs(const Guest *guest, int index)
{
    const Bus *bus = &guest->buses[index];

    return bus->hotplug &&
        oneOf(bus->model, "pcie-root-port", "pcie-switch-downstream-port", "pci-root", "pci-bridge",
              "pcie-to-pci-bridge", NULL) &&
        (index != 0 || guest->acpi || !guest->i440fx);
}


/* What WHAT is below KEY in an answer of the driver */
static int
numberBelow(const char *answer, const char *key, const char *what)
{
    const char *where = strstr(answer, "\"free\"");

    where = where ? strstr(where, key) : NULL;
    where = where ? strstr(where, what) : NULL;
    if (!where)
        g_error("the driver does not say how many slots are free: %s", answer);
    return atoi(where + strlen(what));
}


/* How many slots are free is the driver's to say; the suite slots checks that. */
static void
askFree(virConnectPtr conn, Guest *guest)
{
    g_autofree char *answer = NULL;
    const char *where;

    if (!guest->promised)
        return;
    if (!(answer = virConnectDomainXMLToNative(conn, "pci-topology", guest->xml, 0)))
        g_error("pci-topology: %s", virGetLastErrorMessage());
    guest->found[0] = numberBelow(answer, "\"conventional\"", "\"slots\": ");
    guest->found[1] = numberBelow(answer, "\"pcie\"", "\"slots\": ");
    for (where = strstr(answer, "\"free\""); where && (where = strstr(where, "\"missing\": ")); where++)
        guest->missing += atoi(where + strlen("\"missing\": "));
}


static bool
isRoot(const char *model)
{
    return oneOf(model, "pci-root", "pcie-root", NULL);
}


/* -- what must hold ------------------------------------------------------- */

static void
checkMoved(const Guest *before, const Guest *after, const char *step)
{
    GHashTableIter iter;
    gpointer name;
    gpointer where;

    count(checked, "moved");
    g_hash_table_iter_init(&iter, before->places);
    while (g_hash_table_iter_next(&iter, &name, &where)) {
        const char *now = g_hash_table_lookup(after->places, name);

        if (now && *(char *) where && strcmp(now, where) != 0)
            fault("moved", step, "%s moved from %s to %s", (char *) name, (char *) where, now);
    }
}


static void
checkControllers(const Guest *before, const Guest *after, bool mayAdd, const char *gone, const char *step)
{
    int index;

    count(checked, "controllers");
    for (index = 0; index < BUSES; index++) {
        const char *old = before->buses[index].model;
        const char *new = after->buses[index].model;
        g_autofree char *name = g_strdup_printf("PCI controller %d", index);

        if ((old && new && strcmp(old, new) != 0) || (old && !new && g_strcmp0(gone, name) != 0) ||
            (!old && new && !mayAdd))
            fault("controllers", step, "%s was %s and is %s", name, old ? old : "none", new ? new : "none");
    }
}


/* The group to whose members BUS is left, or NULL */
static const char *
groupOf(const Guest *guest, int bus)
{
    int hops;

    for (hops = 0; bus >= 0 && bus < BUSES && hops < BUSES; hops++) {
        if (guest->buses[bus].group && g_hash_table_contains(guest->shares, guest->buses[bus].group))
            return guest->buses[bus].group;
        bus = guest->buses[bus].parent;
    }
    return NULL;
}


/* The members of a group are in its slot, or on its buses, and nobody else is */
static void
checkGroups(const Guest *guest, const char *step)
{
    /* slot -> group whose slot it is, or "", and the other way round */
    g_autoptr(GHashTable) slots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GHashTable) homes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer name;
    gpointer where;

    count(checked, "groups");
    g_hash_table_iter_init(&iter, guest->places);
    while (g_hash_table_iter_next(&iter, &name, &where)) {
        const char *hints = g_hash_table_lookup(guest->hints, name);
        const char *own = hints ? strrchr(hints, '/') + 1 : "";
        const char *share = g_hash_table_lookup(guest->shares, own);
        bool inSlot = g_strcmp0(share, "slot") == 0;
        const char *bus = groupOf(guest, (int) strtol(where, NULL, 16));
        g_autofree char *slot = g_strndup(where, 5);
        const char *other = g_hash_table_lookup(slots, slot);
        const char *home = inSlot ? g_hash_table_lookup(homes, own) : NULL;

        if (!*slot || g_str_has_prefix(name, "PCI controller"))
            continue;
        if (g_strcmp0(bus, share && !inSlot ? own : NULL) != 0)
            fault("groups", step, "%s is of group %s, and at %s, which is of %s", (char *) name, own, (char *) where, bus ? bus : "none");
        if (other && strcmp(other, inSlot ? own : "") != 0)
            fault("groups", step, "%s is of group %s, and shares %s with %s", (char *) name, own, slot, other);
        if (home && strcmp(home, slot) != 0)
            fault("groups", step, "group %s is in %s and in %s", own, home, slot);
        if (inSlot)
            g_hash_table_insert(homes, g_strdup(own), g_strdup(slot));
        g_hash_table_insert(slots, g_steal_pointer(&slot), g_strdup(inSlot ? own : ""));
    }
}


static void
checkAnyTime(const Guest *guest, const char *step)
{
    GHashTableIter iter;
    gpointer name;
    gpointer hints;
    int index;

    checkGroups(guest, step);
    count(checked, "shared");
    if (guest->faults->len)
        fault("shared", step, "%s", guest->faults->str);

    count(checked, "reach");
    for (index = 0; index < BUSES; index++) {
        int bus = index;
        int hops = 0;

        if (!guest->buses[index].model && guest->buses[index].slots)
            fault("reach", step, "devices are on bus %d, which is not there", index);
        if (!guest->buses[index].model)
            continue;
        while (bus >= 0 && bus < BUSES && guest->buses[bus].model &&
               !isRoot(guest->buses[bus].model) && hops++ < BUSES)
            bus = guest->buses[bus].parent;
        if (bus < 0 || bus >= BUSES || !isRoot(guest->buses[bus].model))
            fault("reach", step, "PCI controller %d does not reach the root", index);
    }

    count(checked, "honoured");
    g_hash_table_iter_init(&iter, guest->hints);
    while (g_hash_table_iter_next(&iter, &name, &hints)) {
        const char *where = g_hash_table_lookup(guest->places, name);
        g_auto(GStrv) parts = g_strsplit(hints, "/", 5);
        int bus = where && *where ? (int) strtol(where, NULL, 16) : -1;
        const char *model = bus < 0 ? NULL : guest->buses[bus].model;
        bool pcie = oneOf(model, "pcie-root", "pcie-root-port", "pcie-switch-downstream-port", NULL);

        if (!model) {
            fault("honoured", step, "%s has %s and no place", (char *) name, (char *) hints);
            continue;
        }
        if ((strcmp(parts[0], "yes") == 0 && !hotplugs(guest, bus)) ||
            (strcmp(parts[0], "no") == 0 && bus != 0) ||
            (*parts[1] && pcie != (strcmp(parts[1], "pcie") == 0)) ||
            (*parts[2] && strcmp(parts[2], model) != 0))
            fault("honoured", step, "%s has %s and is on %s", (char *) name, (char *) hints, model);
    }
}


static bool
isShort(const Guest *guest)
{
    return guest->found[0] < guest->wanted[0] || guest->found[1] < guest->wanted[1] ||
        guest->missing > 0;
}


static void
checkPromise(const Guest *guest, const char *step)
{
    count(checked, "promise");
    if (isShort(guest))
        fault("promise", step, "%sfree: %d conventional, %d PCIe; missing: %d", guest->preferences,
              guest->found[0], guest->found[1], guest->missing);
}


/* Preferences and hints of what is there are what was asked for */
static void
checkKept(const Guest *asked, const Guest *after, const char *step)
{
    GHashTableIter iter;
    gpointer name;

    count(checked, "kept");
    if (strcmp(asked->preferences, after->preferences) != 0)
        fault("kept", step, "preferences were %s and are %s", asked->preferences, after->preferences);
    g_hash_table_iter_init(&iter, asked->places);
    while (g_hash_table_iter_next(&iter, &name, NULL)) {
        const char *old = g_hash_table_lookup(asked->hints, name);
        const char *new = g_hash_table_lookup(after->hints, name);

        if (g_hash_table_contains(after->places, name) && g_strcmp0(old, new) != 0)
            fault("kept", step, "%s had %s and has %s", (char *) name, old ? old : "none", new ? new : "none");
    }
}


/* -- edits ---------------------------------------------------------------- */

static const char *const interfaces[] = { "virtio", "virtio", "virtio", "e1000", "e1000e", "rtl8139" };


static char *
randomAddress(const Guest *guest, bool express, bool maybe)
{
    static const char *const expressModels[] = {
        "pcie-root-port", "pcie-root-port", "pcie-switch-downstream-port", "pcie-to-pci-bridge",
        "pci-bridge", "pcie-root",
    };
    static const char *const conventionalModels[] = { "pci-root", "pci-bridge", "pci-bridge" };
    const char *model = express ? ONE_OF(expressModels) : ONE_OF(conventionalModels);

    if (group && maybe && roll(3) == 0)
        return g_strdup("<address type='pci' group='g'/>");
    switch (roll(maybe ? 12 : 6)) {
    case 0:
        return g_strdup("<address type='pci' hotpluggable='yes'/>");
    case 1:
        return g_strdup("<address type='pci' hotpluggable='no'/>");
    case 2:
        return g_strdup_printf("<address type='pci' busHint='%s'/>", express && roll(2) ? "pcie" : "pci");
    case 3:
        return g_strdup_printf("<address type='pci' preferredConnection='%s'/>", model);
    case 4:
        return g_strdup_printf("<address type='pci' domain='0' bus='%d' slot='%d' function='0'/>",
                               roll(guest ? guest->last + 2 : 2), roll(5));
    default:
        return g_strdup("");
    }
}


static char *
randomDevice(const Guest *guest, bool express)
{
    static const char *const letters = "abcdefghijklmnopqrstuvwxyz";
    unsigned int id = serial++;
    g_autofree char *end = NULL;
    g_autofree char *address = randomAddress(guest, express, true);

    end = g_strdup_printf("<alias name='ua-%u'/>%s", id, address);
    switch (roll(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        return g_strdup_printf("<interface type='user'><mac address='52:54:00:%02x:%02x:%02x'/><model type='%s'/>%s</interface>",
                               id >> 16 & 255, id >> 8 & 255, id & 255, ONE_OF(interfaces), end);
    case 5:
    case 6:
    case 7:
        return g_strdup_printf("<disk type='file' device='disk'><source file='/images/%u'/>"
                               "<target dev='vd%c%c%c' bus='virtio'/>%s</disk>", id,
                               letters[id / 676 % 26], letters[id / 26 % 26], letters[id % 26], end);
    case 8:
        return g_strdup_printf("<controller type='scsi' model='virtio-scsi'>%s</controller>", end);
    case 9:
        return g_strdup_printf("<input type='tablet' bus='virtio'>%s</input>", end);
    case 10:
        return g_strdup_printf("<filesystem type='mount'><source dir='/export/%u'/><target dir='tag%u'/>%s</filesystem>",
                               id, id, end);
    case 11:
        return g_strdup_printf("<controller type='virtio-serial'>%s</controller>", end);
    default:
        return g_strdup_printf("<rng model='virtio'><backend model='random'>/dev/urandom</backend>%s</rng>", end);
    }
}


static char *
randomWindows(bool io)
{
    static const char *const memory[] = { "", "", " memReserve='1024'", " memReserve='4096'" };
    static const char *const memory64[] = { "", "", " pref64Reserve='65536'", " pref64Reserve='8388608'" };
    static const char *const ports[] = { "", "", "", " ioReserve='0'", " ioReserve='4'" };

    return g_strdup_printf("%s%s%s", ONE_OF(memory), ONE_OF(memory64), io ? ONE_OF(ports) : "");
}


static char *
randomController(const Guest *guest, bool express, const char *arch)
{
    static const char *const expressModels[] = {
        "pcie-root-port", "pcie-root-port", "pcie-root-port", "pcie-to-pci-bridge", "dmi-to-pci-bridge",
        "pci-bridge", "pcie-switch-upstream-port", "pcie-switch-downstream-port",
    };
    const char *model = express ? ONE_OF(expressModels) :
        strcmp(arch, "ppc64") == 0 && roll(2) ? "pci-root" : "pci-bridge";

    g_autofree char *windows = oneOf(model, "pcie-root-port", "pci-bridge", NULL) ? randomWindows(true) : g_strdup("");

    return g_strdup_printf("<controller type='pci' index='%d' model='%s'><target%s%s/></controller>", guest->last + 1, model,
                           express && roll(8) == 0 && strcmp(model, "pcie-root-port") == 0 ? " hotplug='off'" : "", windows);
}


static char *
randomPreferences(bool express)
{
    GString *text = g_string_new("<preferences>");

    if (express && roll(3))
        g_string_append_printf(text, "<preference name='pcieHotplugSlots' value='%d'/>", roll(10));
    /* on the machines that cannot have windows this is refused */
    if (roll(4) == 0) {
        g_autofree char *windows = randomWindows(express);

        if (*windows)
            g_string_append_printf(text, "<preference name='%s' value='%d'%s/>",
                                   express ? "pcieHotplugSlots" : "pciHotplugSlots", 1 + roll(4), windows);
    }
    if (roll(express ? 4 : 2) == 0)
        g_string_append_printf(text, "<preference name='pciHotplugSlots' value='%d'/>", roll(45));
    if (roll(5) == 0)
        g_string_append_printf(text, "<preference name='hotpluggable' value='%s'/>", roll(2) ? "yes" : "no");
    if (group && roll(8))
        g_string_append(text, group);
    g_string_append(text, "</preferences>");
    return g_string_free(text, FALSE);
}


/* A group, if MACHINE can have one. Those that need UEFI or several host bridges are left to other tests. */
static char *
randomGroup(const Machine *machine)
{
    bool root = (machine->express && machine->acpi) || strcmp(machine->arch, "ppc64") == 0;

    switch (roll(6)) {
    case 0:
        return g_strdup("<preference name='pciGroup' value='g' share='slot'/>");
    case 1:
        return machine->express ?
            g_strdup_printf("<preference name='pciGroup' value='g' share='switch' spare='%d'/>", roll(4)) : NULL;
    case 2:
        return root ? g_strdup_printf("<preference name='pciGroup' value='g' share='root' spare='%d'/>", roll(4)) : NULL;
    default:
        return NULL;
    }
}


static xmlNodePtr
addXML(xmlDocPtr doc, xmlNodePtr parent, const char *xml)
{
    xmlDocPtr part = xmlReadMemory(xml, strlen(xml), NULL, NULL, XML_PARSE_NONET);
    xmlNodePtr copy = xmlDocCopyNode(xmlDocGetRootElement(part), doc, 1);

    xmlAddChild(parent, copy);
    xmlFreeDoc(part);
    return copy;
}


static void
removeNode(xmlNodePtr node)
{
    if (node) {
        xmlUnlinkNode(node);
        xmlFreeNode(node);
    }
}


/* One of the devices that have an alias of ours, or NULL */
static xmlNodePtr
someDevice(xmlNodePtr devices, const char *tag)
{
    xmlNodePtr node;
    xmlNodePtr chosen = NULL;
    int seen = 0;

    for (node = devices->children; node; node = node->next) {
        g_autofree char *alias = node->type == XML_ELEMENT_NODE ? attribute(child(node, "alias"), "name") : NULL;

        if (alias && g_str_has_prefix(alias, "ua-") && (!tag || isTag(node, tag)) && roll(++seen) == 0)
            chosen = node;
    }
    return chosen;
}


typedef struct {
    virConnectPtr conn;
    virDomainPtr domain;
    const Machine *machine;
    Guest *guest;
} Story;


static Guest *
look(Story *story)
{
    char *xml = virDomainGetXMLDesc(story->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    Guest *guest;

    if (!xml)
        g_error("dumpxml: %s", virGetLastErrorMessage());
    guest = guestNew(xml);
    askFree(story->conn, guest);
    free(xml);
    return guest;
}


/* A step was refused: in words, and nothing has changed */
static void
refused(Story *story, const char *step)
{
    g_autofree char *message = g_strdup(virGetLastErrorMessage());
    int code = virGetLastErrorCode();
    g_autoptr(Guest) now = look(story);
    g_autofree char *note = g_strdup_printf("refused %s", step);

    count(notes, note);
    count(checked, "refused");
    if (strcmp(now->xml, story->guest->xml) != 0)
        fault("refused", step, "the domain has changed, by: %s", message);
    /* libvirt, with and without the series, attaches no PCI controller of which it would have to
     * choose QEMU's model */
    if (strstr(message, "'modelName' is not set")) {
        count(notes, "of these for want of modelName");
        return;
    }
    if (code == VIR_ERR_OK || code == VIR_ERR_INTERNAL_ERROR)
        fault("refused", step, "with an error that explains nothing: %s", message);
}


static bool
define(Story *story, const char *xml)
{
    virDomainPtr domain = virDomainDefineXML(story->conn, xml);

    if (!domain)
        return false;
    if (story->domain)
        virDomainFree(story->domain);
    story->domain = domain;
    return true;
}


static void
accepted(Story *story, Guest *after)
{
    guestFree(story->guest);
    story->guest = after;
}


static void
redefine(Story *story)
{
    /* what was detached with a controller, a define makes up for */
    int rounds = isShort(story->guest) ? 3 : 2;
    int i;

    for (i = 1; i <= rounds; i++) {
        bool makesUp = rounds == 3 && i == 1;
        Guest *after;

        if (!define(story, story->guest->xml)) {
            /* a promise that cannot be made up for is refused */
            if (!makesUp)
                fault("controllers", "redefine", "refused: %s", virGetLastErrorMessage());
            else
                refused(story, "redefine");
            return;
        }
        after = look(story);
        checkMoved(story->guest, after, "redefine");
        checkControllers(story->guest, after, makesUp, NULL, "redefine");
        checkPromise(after, "redefine");
        checkKept(story->guest, after, "redefine");
        checkAnyTime(after, "redefine");
        if (i == rounds) {
            count(checked, "fixpoint");
            if (strcmp(story->guest->xml, after->xml) != 0)
                fault("fixpoint", "redefine", "the XML changed");
        }
        accepted(story, after);
    }
}


static void
attach(Story *story, bool controller)
{
    const Machine *machine = story->machine;
    const char *step = controller ? "attach controller" : "attach";
    g_autofree char *xml = controller ? randomController(story->guest, machine->express, machine->arch) :
        randomDevice(story->guest, machine->express);
    g_autofree char *whole = g_strdup_printf("<domain><devices>%s</devices></domain>", xml);
    g_autoptr(Guest) asked = guestNew(whole);
    GHashTableIter iter;
    gpointer name;
    Guest *after;

    if (virDomainAttachDeviceFlags(story->domain, xml, VIR_DOMAIN_AFFECT_CONFIG) < 0) {
        refused(story, step);
        return;
    }
    after = look(story);
    checkMoved(story->guest, after, step);
    checkControllers(story->guest, after, true, NULL, step);
    checkPromise(after, step);
    checkKept(story->guest, after, step);
    checkAnyTime(after, step);
    g_hash_table_iter_init(&iter, asked->hints);
    while (!controller && g_hash_table_iter_next(&iter, &name, NULL)) {
        if (g_strcmp0(g_hash_table_lookup(asked->hints, name), g_hash_table_lookup(after->hints, name)) != 0)
            fault("kept", step, "the hint of %s is lost", (char *) name);
    }
    accepted(story, after);
}


static void
detach(Story *story)
{
    xmlNodePtr device = someDevice(story->guest->devices, NULL);
    g_autofree char *alias = device ? attribute(child(device, "alias"), "name") : NULL;
    Guest *after;

    if (!alias)
        return;
    if (virDomainDetachDeviceAlias(story->domain, alias, VIR_DOMAIN_AFFECT_CONFIG) < 0) {
        refused(story, "detach");
        return;
    }
    after = look(story);
    checkMoved(story->guest, after, "detach");
    checkControllers(story->guest, after, false, NULL, "detach");
    checkKept(story->guest, after, "detach");
    checkAnyTime(after, "detach");
    accepted(story, after);
}


/* The last PCI controller, if nothing is plugged into it */
static void
detachController(Story *story)
{
    const Bus *bus = &story->guest->buses[story->guest->last];
    g_autofree char *xml = NULL;
    g_autofree char *name = g_strdup_printf("PCI controller %d", story->guest->last);
    Guest *after;

    if (story->guest->last == 0 || bus->slots)
        return;
    xml = g_strdup_printf("<controller type='pci' index='%d' model='%s'/>", story->guest->last, bus->model);
    if (virDomainDetachDeviceFlags(story->domain, xml, VIR_DOMAIN_AFFECT_CONFIG) < 0) {
        refused(story, "detach controller");
        return;
    }
    after = look(story);
    checkMoved(story->guest, after, "detach controller");
    checkControllers(story->guest, after, false, name, "detach controller");
    checkKept(story->guest, after, "detach controller");
    checkAnyTime(after, "detach controller");
    accepted(story, after);
}


/* Another definition, made from the one that is there: addresses that it has are written in it */
static void
change(Story *story)
{
    static const char *const steps[] = {
        "add devices", "remove devices", "change a device", "change a hint", "change preferences", "forget an address",
        "add a controller",
    };
    const Machine *machine = story->machine;
    xmlDocPtr doc = xmlCopyDoc(story->guest->doc, 1);
    xmlNodePtr domain = xmlDocGetRootElement(doc);
    xmlNodePtr devices = child(domain, "devices");
    xmlNodePtr device = someDevice(devices, NULL);
    xmlNodePtr address = child(device, "address");
    xmlChar *text = NULL;
    g_autofree char *gone = NULL;
    g_autoptr(Guest) asked = NULL;
    Guest *after;
    int which = roll(G_N_ELEMENTS(steps));
    int i;

    switch (which) {
    case 0:
        for (i = 1 + roll(5); i > 0; i--) {
            g_autofree char *xml = randomDevice(story->guest, machine->express);
            addXML(doc, devices, xml);
        }
        break;
    case 1:
        for (i = 1 + roll(5); i > 0; i--)
            removeNode(someDevice(devices, NULL));
        break;
    case 2:
        device = someDevice(devices, "interface");
        if (device)
            xmlSetProp(child(device, "model"), BAD_CAST "type", BAD_CAST ONE_OF(interfaces));
        break;
    case 3:
        /* the address stays, so a hint must agree with it */
        if (device && address) {
            static const char *const answers[] = { "yes", "no" };

            if (roll(2))
                xmlUnsetProp(address, BAD_CAST "preferredConnection");
            else if (roll(2))
                xmlUnsetProp(address, BAD_CAST "hotpluggable");
            else
                xmlSetProp(address, BAD_CAST "hotpluggable", BAD_CAST ONE_OF(answers));
        }
        break;
    case 4: {
        g_autofree char *xml = randomPreferences(machine->express);
        xmlNodePtr old = child(domain, "preferences");
        xmlNodePtr new = addXML(doc, domain, xml);

        if (old)
            xmlReplaceNode(old, new);
        xmlFreeNode(old);
        break;
    }
    case 5:
        /* it may get another then */
        if (device) {
            gone = attribute(child(device, "alias"), "name");
            removeNode(address);
        }
        break;
    case 6: {
        g_autofree char *xml = randomController(story->guest, machine->express, machine->arch);
        addXML(doc, devices, xml);
        break;
    }
    }

    xmlDocDumpMemory(doc, &text, NULL);
    xmlFreeDoc(doc);
    if (!define(story, (char *) text)) {
        refused(story, steps[which]);
        xmlFree(text);
        return;
    }
    asked = guestNew((char *) text);
    xmlFree(text);
    after = look(story);
    if (gone)
        g_hash_table_remove(story->guest->places, gone);
    checkMoved(story->guest, after, steps[which]);
    checkControllers(story->guest, after, true, NULL, steps[which]);
    checkPromise(after, steps[which]);
    checkKept(asked, after, steps[which]);
    checkAnyTime(after, steps[which]);
    accepted(story, after);
}


static bool
begin(Story *story, const char *emulators)
{
    const Machine *machine;
    g_autofree char *emulator = NULL;
    g_autofree char *preferences = NULL;
    g_autoptr(GString) devices = g_string_new(NULL);
    g_autofree char *xml = NULL;
    int i;

    do {
        machine = &ONE_OF(machines);
        g_free(emulator);
        emulator = g_strdup_printf("%s/qemu-system-%s", emulators, machine->arch);
    } while (access(emulator, X_OK) < 0);

    story->machine = machine;
    g_free(group);
    group = randomGroup(machine);
    preferences = group || roll(4) ? randomPreferences(machine->express) : g_strdup("");
    if (roll(2))
        g_string_append(devices, "<controller type='usb' model='none'/><memballoon model='none'/>");
    for (i = roll(roll(5) ? 8 : 40); i > 0; i--) {
        g_autofree char *device = randomDevice(NULL, machine->express);
        g_string_append(devices, device);
    }
    xml = g_strdup_printf("<domain type='qemu'><name>" NAME "</name><uuid>00000000-0000-4000-8000-000000000001</uuid>"
                          "<memory unit='MiB'>64</memory><os><type arch='%s' machine='%s'>hvm</type></os>"
                          "<features>%s</features>%s<devices><emulator>%s</emulator>%s</devices></domain>",
                          machine->arch, machine->machine, machine->acpi ? "<acpi/>" : "",
                          preferences, emulator, devices->str);
    if (!define(story, xml)) {
        count(notes, "refused first define");
        if (virGetLastErrorCode() == VIR_ERR_INTERNAL_ERROR)
            fault("refused", "define", "with an error that explains nothing: %s", virGetLastErrorMessage());
        return false;
    }
    count(notes, "domains");
    story->guest = look(story);
    checkPromise(story->guest, "define");
    checkAnyTime(story->guest, "define");
    redefine(story);
    return true;
}


/* -- that the checks can fail --------------------------------------------- */

static Guest *
sample(const char *preferences, const char *devices)
{
    g_autofree char *xml = g_strdup_printf("<domain><os><type machine='q35'>hvm</type></os><preferences>%s</preferences>"
                                           "<devices><controller type='pci' index='0' model='pcie-root'/>%s</devices></domain>",
                                           preferences, devices);
    return guestNew(xml);
}

#define PORT "<controller type='pci' index='1' model='pcie-root-port'><address type='pci' bus='0' slot='1' function='0'/></controller>"
#define RNG(bus, hint) "<rng><alias name='ua-1'/><address type='pci' bus='" bus "' slot='0' function='1' " hint "/></rng>"
#define MARKED "<controller type='pci' index='1' model='pcie-root-port'><target group='g'/><address type='pci' bus='0' slot='1' function='0'/></controller>"
#define SLOT "<preference name='pciGroup' value='g' share='slot'/>"
#define SWITCH "<preference name='pciGroup' value='g' share='switch'/>"
#define WISH "<preference name='pcieHotplugSlots' value='1'/>"

static int
selfTest(void)
{
    g_autoptr(Guest) none = sample("", "");
    g_autoptr(Guest) port = sample("", PORT);
    g_autoptr(Guest) used = sample(WISH, PORT RNG("1", ""));
    g_autoptr(Guest) empty = sample(WISH, PORT);
    g_autoptr(Guest) small = sample(WISH, PORT);
    g_autoptr(Guest) windowed = sample("<preference name='pcieHotplugSlots' value='1' memReserve='4'/>", PORT);
    g_autoptr(Guest) moved = sample(WISH, PORT RNG("0", ""));
    g_autoptr(Guest) cold = sample(WISH, PORT RNG("1", "hotpluggable='no'"));
    g_autoptr(Guest) warm = sample(WISH, PORT RNG("1", "hotpluggable='yes'"));
    g_autoptr(Guest) shared = sample("", PORT RNG("1", "") "<rng><address type='pci' bus='1' slot='0' function='1'/></rng>");
    g_autoptr(Guest) lost = sample("", "<controller type='pci' index='1' model='pcie-root-port'/>");
    g_autoptr(Guest) member = sample(SLOT, PORT RNG("1", "group='g'"));
    g_autoptr(Guest) apart = sample(SLOT, PORT RNG("1", "group='g'") "<rng><alias name='ua-2'/><address type='pci' bus='0' slot='2' group='g'/></rng>");
    g_autoptr(Guest) mixed = sample(SLOT, PORT RNG("1", "group='g'") "<rng><alias name='ua-2'/><address type='pci' bus='1' slot='0' function='2'/></rng>");
    g_autoptr(Guest) inside = sample(SWITCH, MARKED RNG("1", "group='g'"));
    g_autoptr(Guest) outside = sample(SWITCH, PORT RNG("1", "group='g'"));
    g_autoptr(Guest) stranger = sample(SWITCH, MARKED RNG("1", ""));
    g_autoptr(Guest) forgotten = sample("", MARKED RNG("1", ""));
    g_autoptr(Guest) circle = sample("", "<controller type='pci' index='1' model='pci-bridge'><address type='pci' bus='1' slot='1'/></controller>");
    int failed = 0;

#define EXPECT(what, times, call) \
    do { \
        size_t before = faults; \
        call; \
        if ((faults > before) != times) { \
            printf("%s: %s\n", what, times ? "not noticed" : "is no fault"); \
            failed = 1; \
        } \
    } while (0)

    empty->found[1] = numberBelow("{\n  \"free\": {\n    \"pcie\": {\n      \"slots\": 1,\n", "\"pcie\"", "\"slots\": ");
    small->found[1] = small->missing = 1;
    /* what they say does not count, only whether they say something */
    silent = true;
    EXPECT("a moved device", true, checkMoved(used, moved, ""));
    EXPECT("a device that stays", false, checkMoved(used, cold, ""));
    EXPECT("a controller that comes", true, checkControllers(none, port, false, NULL, ""));
    EXPECT("a controller that may come", false, checkControllers(none, port, true, NULL, ""));
    EXPECT("a controller that goes", true, checkControllers(port, none, true, NULL, ""));
    EXPECT("a controller that was removed", false, checkControllers(port, none, true, "PCI controller 1", ""));
    EXPECT("a broken promise", true, checkPromise(used, ""));
    EXPECT("a promise", false, checkPromise(empty, ""));
    EXPECT("a slot with too small a window", true, checkPromise(small, ""));
    EXPECT("lost preferences", true, checkKept(empty, port, ""));
    EXPECT("a lost window", true, checkKept(windowed, empty, ""));
    EXPECT("a lost hint", true, checkKept(cold, used, ""));
    EXPECT("a kept hint", false, checkKept(cold, cold, ""));
    EXPECT("a dishonoured hint", true, checkAnyTime(cold, ""));
    EXPECT("an honoured hint", false, checkAnyTime(warm, ""));
    EXPECT("a shared address", true, checkAnyTime(shared, ""));
    EXPECT("a controller without a place", true, checkAnyTime(lost, ""));
    EXPECT("a controller in itself", true, checkAnyTime(circle, ""));
    EXPECT("a group in a slot", false, checkGroups(member, ""));
    EXPECT("a group in two slots", true, checkGroups(apart, ""));
    EXPECT("a stranger in the slot of a group", true, checkGroups(mixed, ""));
    EXPECT("a group on its bus", false, checkGroups(inside, ""));
    EXPECT("a member elsewhere", true, checkGroups(outside, ""));
    EXPECT("a stranger on the bus of a group", true, checkGroups(stranger, ""));
    EXPECT("the bus of a group that is declared no more", false, checkGroups(forgotten, ""));
    return failed;
}


static void
quiet(void *opaque G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED)
{
}


static gpointer
events(gpointer opaque G_GNUC_UNUSED)
{
    while (virEventRunDefaultImpl() == 0)
        ;
    return NULL;
}


int
main(int argc, char **argv)
{
    Story story = { 0 };
    unsigned int edits;
    unsigned int lifetime = 0;
    GHashTableIter iter;
    gpointer name;
    gpointer times;
    size_t i;

    checked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    notes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0)
        return selfTest();
    if (argc != 5) {
        fprintf(stderr, "usage: %s URI SEED COUNT EMULATORS-DIRECTORY\n", argv[0]);
        return 2;
    }
    dice = g_rand_new_with_seed(strtoul(argv[2], NULL, 0));
    edits = strtoul(argv[3], NULL, 0);
    virEventRegisterDefaultImpl();
    g_thread_new("events", events, NULL);
    virSetErrorFunc(NULL, quiet);
    if (!(story.conn = virConnectOpen(argv[1]))) {
        fprintf(stderr, "%s: %s\n", argv[1], virGetLastErrorMessage());
        return 2;
    }

    while (edit < edits) {
        if (lifetime == 0) {
            if (story.domain && virDomainUndefine(story.domain) < 0) {
                fprintf(stderr, "undefine: %s\n", virGetLastErrorMessage());
                return 2;
            }
            g_clear_pointer(&story.domain, virDomainFree);
            g_clear_pointer(&story.guest, guestFree);
            if (!begin(&story, argv[4]))
                continue;
            lifetime = 10 + roll(50);
        }
        lifetime--;
        if (++edit % 10000 == 0)
            fprintf(stderr, "edits: %u of %u\n", edit, edits);
        switch (roll(10)) {
        case 0:
        case 1:
        case 2:
            attach(&story, false);
            break;
        case 3:
            if (roll(10) == 0)
                attach(&story, true);
            else
                change(&story);
            break;
        case 4:
        case 5:
            detach(&story);
            break;
        case 6:
            detachController(&story);
            break;
        case 7:
            redefine(&story);
            break;
        default:
            change(&story);
        }
    }

    for (i = 0; i < G_N_ELEMENTS(properties); i++)
        printf("checked %s %u\n", properties[i], GPOINTER_TO_UINT(g_hash_table_lookup(checked, properties[i])));
    g_hash_table_iter_init(&iter, notes);
    while (g_hash_table_iter_next(&iter, &name, &times))
        printf("note %u %s\n", GPOINTER_TO_UINT(times), (char *) name);
    printf("edits %u faults %zu\n", edit, faults);
    if (story.domain)
        virDomainFree(story.domain);
    guestFree(story.guest);
    fflush(stdout);
    /* the driver has threads of its own */
    _exit(faults > 0);
}

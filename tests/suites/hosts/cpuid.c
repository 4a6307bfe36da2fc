/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host whose CPUs differ, at its worst: the driver finds another CPUID whenever it starts and may run on
 * more than one of them, and that of the CPU if it stays on one. Loaded before libvirt.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

typedef struct _virCPUData virCPUData;
virCPUData *virCPUDataParse(const char *xml);
virCPUData *virCPUDataGetHost(void);

virCPUData *
virCPUDataGetHost(void)
{
    cpu_set_t cpus;
    char xml[256];
    int number = sched_getcpu();

    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1)
        number = getpid();

    snprintf(xml, sizeof(xml),
             "<cpudata arch='x86'>"
             "<cpuid eax_in='0x00000000' ecx_in='0x00' eax='0x00000001' ebx='0x%08x' ecx='0x00000001' edx='0x00000001'/>"
             "</cpudata>", number);
    return virCPUDataParse(xml);
}

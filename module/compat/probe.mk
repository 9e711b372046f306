# SPDX-License-Identifier: GPL-2.0-only
# Compiles each compat/probes/NAME.c against the target's headers and writes
# compat_config.h with XENTAP_HAVE_NAME for those that compile.
xentap-probes := vm_flags_set vm_ops_may_split vm_ops_mprotect \
	find_special_page find_normal_page
# To build as for a kernel that lacks some: make XENTAP_WITHOUT="NAME..."
xentap-probes := $(filter-out $(XENTAP_WITHOUT),$(xentap-probes))
xentap-config := $(obj)/compat/compat_config.h

ccflags-y += -I$(obj)/compat

$(addprefix $(obj)/,$(xentap-y)): $(xentap-config)

# As one word for the shell, though it has both kinds of quotes in it (arm64).
xentap-compile = $(CC) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) \
	$(KBUILD_CFLAGS) -DMODULE -DKBUILD_MODNAME='"probe"' -Werror -fsyntax-only

quiet_cmd_xentap_probe = PROBE   $@
      cmd_xentap_probe = sh $(src)/compat/probe.sh $(src)/compat/probes $@ \
	'$(call escsq,$(xentap-compile))' $(xentap-probes) # $(KERNELRELEASE)

# Again for another kernel, whose release is part of the command.
$(xentap-config): $(wildcard $(src)/compat/probes/*.c) $(src)/compat/probe.sh FORCE
	$(call if_changed,xentap_probe)

targets += compat/compat_config.h
clean-files += compat/compat_config.h compat/compat_config.log

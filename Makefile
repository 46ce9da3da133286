# demo lab test bench build install dist clean. Everything here is short; what it calls can be called by hand.

PREFIX  = /usr/local
DESTDIR =
SBIN    = $(PREFIX)/sbin
SHARE   = $(PREFIX)/share/portreeve
CARGO   = cargo
# Where cargo put the two executables; `make dist` and the tests have others.
BUILT  ?= target/release

SUPERVISOR_NAMES = runsv runsvdir sv svc svlogd svok svstat chpst envdir envuidgid pgrphack setlock setuidgid softlimit
NETD_NAMES       = dhcpc udhcpc zcip linkwatch ifplugd pinger

# The two are always built by themselves: built together, cargo would unify their features.
build:
	$(CARGO) build --locked --release -p supervisor
	$(CARGO) build --locked --release -p netd

# Whoever has built keeps what was built: `make build` looks for changes, `make install` does not.
$(BUILT)/supervisor $(BUILT)/netd:
	$(MAKE) build

# A gateway in private namespaces shows itself, and is gone.
demo: build
	tests/demo/demo

# The same, and then a shell inside the gateway.
lab: build
	tests/demo/demo --shell

# Everything that must hold. As root on Debian it installs what is missing, see tests/packages.
test:
	tests/check

bench:
	tests/bench/run

# Programs and their names to SBIN, service directories to /etc/sv (one that is there already is yours and stays), what starts
# runsvdir at boot to SHARE/packaging, docs to SHARE/docs.
install: $(BUILT)/supervisor $(BUILT)/netd
	install -d '$(DESTDIR)$(SBIN)' '$(DESTDIR)$(SHARE)/sv' '$(DESTDIR)$(SHARE)/packaging' '$(DESTDIR)/etc/sv' '$(DESTDIR)/var/service'
	install -m 0755 $(BUILT)/supervisor $(BUILT)/netd '$(DESTDIR)$(SBIN)'
	for name in $(SUPERVISOR_NAMES); do ln -sf supervisor '$(DESTDIR)$(SBIN)'/$$name || exit; done
	for name in $(NETD_NAMES); do ln -sf netd '$(DESTDIR)$(SBIN)'/$$name || exit; done
	for file in packaging/*; do sed 's|/usr/local|$(PREFIX)|g' $$file >'$(DESTDIR)$(SHARE)'/$$file || exit; done
	cd '$(DESTDIR)$(SHARE)/packaging' && rm installed && mv start '$(DESTDIR)$(SBIN)/portreeve-start'
	chmod 0755 '$(DESTDIR)$(SBIN)/portreeve-start'
	install -d '$(DESTDIR)$(SHARE)/docs' && install -m 0644 docs/*.md '$(DESTDIR)$(SHARE)/docs'
	for dir in fw examples/*/; do \
		name=$$(basename "$$dir") && new='$(DESTDIR)$(SHARE)/sv'/$$name && yours='$(DESTDIR)/etc/sv'/$$name && \
		rm -rf "$$new" && cp -rL "$$dir" "$$new" || exit; \
		for keys in $$(grep -ls 'readable for root alone' "$$new"/*); do chmod 0600 "$$keys" || exit; done; \
		if [ -e "$$yours" ]; then echo "kept: /etc/sv/$$name; the new one is $(SHARE)/sv/$$name"; \
		else cp -r "$$new" "$$yours" || exit; fi; \
	done
	@sed 's|/usr/local|$(PREFIX)|g' packaging/installed

# A static release: unpack it over /. Without the musl target of rustup it is a dynamic one for this machine's libc.
dist:
	tests/dist '$(PREFIX)'

clean:
	$(CARGO) clean
	rm -rf dist

.PHONY: build demo lab test bench install dist clean

# adapty: a PGXS extension.
#
#   make                build the library and the install script
#   make install        install them into the PostgreSQL of PG_CONFIG
#   make installcheck   regression and isolation tests on a running server that preloads adapty
#   make prove          TAP tests; each makes servers of its own
#   make check-one T=x  one regression or isolation test (after setup), on a running server
#
# scripts/check does all of this from nothing.

EXTENSION = adapty
# (not VERSION: that is the server's)
ADAPTY_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" $(dir $(firstword $(MAKEFILE_LIST)))adapty.control)
PG_CONFIG ?= pg_config

# ---- library ----
MODULE_big = adapty
SOURCES = $(sort $(foreach folder,. base types domain http worker,$(wildcard src/$(folder)/*.c)))
OBJS = $(patsubst %.c,%.o,$(patsubst src/./%,src/%,$(SOURCES)))
PG_CPPFLAGS = -I$(srcdir)/src -DADAPTY_VERSION='"$(ADAPTY_VERSION)"'

# ---- install and upgrade scripts: assembled from parts, in the order of their names ----
SQL_ONCE = $(sort $(wildcard sql/once/*.sql))
SQL_ALWAYS = $(sort $(wildcard sql/always/*.sql))
SQL_INSTALL = sql/adapty--$(ADAPTY_VERSION).sql
SQL_UPGRADES = $(patsubst sql/upgrade/%,sql/adapty--%,$(sort $(wildcard sql/upgrade/*--*.sql)))
DATA_built = $(SQL_INSTALL) $(SQL_UPGRADES)

# ---- tests ----
# pg_regress looks for ./sql/NAME.sql before test/sql/NAME.sql, and both look for expected/ in their
# output folder first: install SQL is kept in sub-folders of sql/, expected output at the top.
REGRESS = setup $(filter-out setup,$(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql))))
REGRESS_OPTS = --inputdir=$(srcdir)/test
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test --outputdir=. --load-extension=adapty

EXTRA_CLEAN = sql/adapty--*.sql results tmp_check tmp_check_iso log

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) does not work: install the server's development package or set PG_CONFIG)
endif
include $(PGXS)

ifeq ($(shell test $(MAJORVERSION) -ge 15 && echo yes),)
$(error adapty needs PostgreSQL 15 or later; $(PG_CONFIG) is of $(MAJORVERSION))
endif

# PGXS does not track headers; all of ours are few and small.
HEADER_FILES = $(wildcard src/*.h src/*/*.h)
$(OBJS) $(OBJS:.o=.bc): $(HEADER_FILES) adapty.control

$(SQL_INSTALL): sql/header.sql $(SQL_ONCE) $(SQL_ALWAYS) adapty.control
	cat sql/header.sql $(SQL_ONCE) $(SQL_ALWAYS) > $@

$(SQL_UPGRADES): sql/adapty--%: sql/header.sql sql/upgrade/% $(SQL_ALWAYS)
	cat sql/header.sql sql/upgrade/$* $(SQL_ALWAYS) > $@

# ---- the library of the webhook senders, which needs libcurl ----
# Without curl-config it is left out, with a word about it; with_webhooks=no does so silently, and
# with_webhooks=yes makes it an error.
CURL_CONFIG ?= curl-config
with_webhooks ?= $(shell command -v $(CURL_CONFIG) >/dev/null 2>&1 && echo yes || echo missing)
.PHONY: webhooks
ifeq ($(with_webhooks),yes)
webhooks:
	$(MAKE) -C src/webhook PG_CONFIG=$(PG_CONFIG) CURL_CONFIG=$(CURL_CONFIG) all
install: install-webhooks
install-webhooks: webhooks
	$(MAKE) -C src/webhook PG_CONFIG=$(PG_CONFIG) CURL_CONFIG=$(CURL_CONFIG) install
uninstall: uninstall-webhooks
uninstall-webhooks:
	$(MAKE) -C src/webhook PG_CONFIG=$(PG_CONFIG) CURL_CONFIG=$(CURL_CONFIG) uninstall
clean: clean-webhooks
clean-webhooks:
	$(MAKE) -C src/webhook PG_CONFIG=$(PG_CONFIG) CURL_CONFIG=$(CURL_CONFIG) clean
.PHONY: install-webhooks uninstall-webhooks clean-webhooks
else
webhooks:
ifeq ($(with_webhooks),missing)
	@echo "curl-config is not there: built without webhooks. Install libcurl's development files (libcurl4-openssl-dev on Debian) to have them."
endif
endif
all: webhooks

# The server's binaries first, so that the tests run what was built against.
TAP = $(sort $(wildcard test/t/*.pl))
TAP_ENV = PATH="$(bindir):$$PATH" PG_REGRESS="$(pkglibdir)/pgxs/src/test/regress/pg_regress" \
	TESTDATADIR="$(CURDIR)/tmp_check" TESTLOGDIR="$(CURDIR)/tmp_check/log" TESTDIR="$(CURDIR)" \
	PGPORT="6$(DEF_PGPORT)"

.PHONY: prove check-one
prove:
	mkdir -p tmp_check/log
	$(TAP_ENV) prove --failures --timer -I $(srcdir)/test/perl -I $(pkglibdir)/pgxs/src/test/perl $(PROVE_FLAGS) $(TAP)

check-one:
ifneq ($(wildcard test/specs/$(T).spec),)
	$(pg_isolation_regress_installcheck) $(ISOLATION_OPTS) $(T)
else
	$(pg_regress_installcheck) $(REGRESS_OPTS) $(filter-out $(T),setup) $(T)
endif

# The images of a room's containers: `guest`, and `gateway`, which has NAT and the name service besides. `base` answers SSH
# and has nothing of the roles. docs/docker.md; docker-compose.yml builds and starts them.
ARG BASE_IMAGE=ubuntu:24.04

FROM ${BASE_IMAGE} AS base
# An Ubuntu of a registry is without its manual, and dpkg would leave out that of each package.
RUN if [ -e /etc/dpkg/dpkg.cfg.d/excludes ]; then rm /etc/dpkg/dpkg.cfg.d/excludes && apt-get update && \
    dpkg-query --search /usr/share/man | sed 's/: .*//; s/, /\n/g' | \
    DEBIAN_FRONTEND=noninteractive xargs apt-get install --yes --reinstall && \
    if dpkg-divert --list /usr/bin/man | grep -q .; then \
    rm -f /usr/bin/man && dpkg-divert --quiet --remove --rename /usr/bin/man; fi; fi
# No package may start a service in a build; docker/start removes this. Each container gets a host key and a machine-id of
# its own when it starts.
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && \
    echo man-db man-db/auto-update boolean false | debconf-set-selections && \
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates dbus \
    iproute2 openssh-server python3 python3-apt systemd systemd-sysv && \
    apt-get clean && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* /var/lib/dbus/machine-id && : >/etc/machine-id
# Whom the machine trusts besides its distribution's authorities, in PEM: a mirror, or a proxy that looks into TLS. pip has to
# be told.
ARG CERTIFICATES=
RUN [ -z "$CERTIFICATES" ] || { printf '%s\n' "$CERTIFICATES" | awk '/-BEGIN CERTIFICATE-/ { n++ } \
    /-BEGIN CERTIFICATE-/, /-END CERTIFICATE-/ { print >("/usr/local/share/ca-certificates/machine-" n ".crt") }' && \
    update-ca-certificates && { [ -e /etc/pip.conf ] || \
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >/etc/pip.conf; }; }
# An Ubuntu of a registry has a user `ubuntu`: `student` is to have the same number everywhere, in archives of homes.
RUN ! id ubuntu 2>/dev/null || userdel --remove ubuntu
# What a container of a lab never needs, or only when it is asked for (logind), and what keeps students out until all of it has
# started; a journal in memory.
COPY src/labroom/providers/masked_units.txt /tmp/
RUN systemctl mask $(sed -n '/^#/d; s/ .*container.*//p' /tmp/masked_units.txt) && rm /tmp/masked_units.txt && \
    ln -sf /dev/null /etc/tmpfiles.d/systemd-nologin.conf && \
    mkdir -p /etc/systemd/journald.conf.d /etc/systemd/system/multi-user.target.wants && \
    ln -sf /dev/null /etc/systemd/system/multi-user.target.wants/systemd-logind.service && \
    echo LANG=C.UTF-8 >/etc/default/locale && \
    printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=4M\n' >/etc/systemd/journald.conf.d/labroom.conf && \
    printf 'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys/%%u\n' >/etc/ssh/sshd_config.d/room-keys.conf
COPY docker/start /usr/local/sbin/start
ENV container=docker LANG=C.UTF-8
LABEL labroom=""
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/sbin/start"]

FROM base AS provisioned
# The packages of the roles, which find them there, and Ansible, which goes again: a changed lab or role fetches none anew.
COPY roles/toolchain/defaults/main.yml /tmp/toolchain.yml
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    sudo python3-venv $(sed -n 's/^  - //p' /tmp/toolchain.yml) && mandb --create --quiet && \
    apt-get clean && rm -rf /var/lib/apt/lists/* /tmp/toolchain.yml
# By the pip that venv has inside. Python 3.10, Ubuntu 22.04's, gets 2.17.
RUN PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) python3 -m pip install --quiet --no-cache-dir --no-compile \
    --target=/tmp/ansible 'ansible-core>=2.17,<2.20'
WORKDIR /tmp/ansible_collections/labroom/labroom
COPY docker/inventory docker/provision docker/
COPY playbooks/guest.yml playbooks/
COPY plugins plugins
COPY roles roles
COPY labs labs
# What the room wants of these roles, as JSON, beside their defaults.
ARG VARIABLES={}
RUN docker/provision guest.yml "$VARIABLES"

FROM provisioned AS guest
RUN rm -rf /tmp/*
WORKDIR /

FROM provisioned AS gateway
COPY playbooks/gateway.yml playbooks/
# What the room says of this gateway: its roles' variables, as JSON.
ARG GATEWAY_VARIABLES={}
RUN docker/provision gateway.yml "$GATEWAY_VARIABLES" && rm -rf /tmp/*
WORKDIR /

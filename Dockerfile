# The images of a room's containers: `guest`, and `gateway`, which has NAT and the name service besides. `base` answers SSH
# and has nothing of the roles. docs/docker.md; docker-compose.yml builds and starts them.
ARG BASE_IMAGE=ubuntu:24.04

FROM ${BASE_IMAGE} AS base
# No package may start a service in a build; docker/start removes this. python3-venv is for docker/provision. Each container
# gets a host key and a machine-id of its own when it starts.
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && \
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates dbus \
    iproute2 openssh-server python3 python3-apt python3-venv systemd systemd-sysv && \
    apt-get clean && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* /var/lib/dbus/machine-id && : >/etc/machine-id
# What a container of a lab never needs, and what keeps students out until all of it has started; a journal in memory.
COPY src/labroom/providers/masked_units.txt /tmp/
RUN systemctl mask $(sed -n '/^#/d; s/ .*container.*//p' /tmp/masked_units.txt) && rm /tmp/masked_units.txt && \
    ln -s /dev/null /etc/tmpfiles.d/systemd-nologin.conf && \
    mkdir -p /etc/systemd/journald.conf.d && \
    printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=4M\n' >/etc/systemd/journald.conf.d/labroom.conf && \
    printf 'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys/%%u\n' >/etc/ssh/sshd_config.d/room-keys.conf
COPY docker/start /usr/local/sbin/start
ENV container=docker
LABEL labroom=""
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/sbin/start"]

FROM base AS guest
# The packages of the roles, which find them there: a changed lab or role fetches none anew.
COPY roles/toolchain/defaults/main.yml /tmp/toolchain.yml
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    sudo $(sed -n 's/^  - //p' /tmp/toolchain.yml) && \
    apt-get clean && rm -rf /var/lib/apt/lists/* /tmp/toolchain.yml
WORKDIR /tmp/ansible_collections/labroom/labroom
COPY docker/provision docker/
COPY playbooks/guest.yml playbooks/
COPY plugins plugins
COPY roles roles
COPY labs labs
RUN printf '[guests]\nlocalhost\n' >/tmp/guests && docker/provision guest.yml /tmp/guests
WORKDIR /

FROM guest AS gateway
WORKDIR /tmp/ansible_collections/labroom/labroom
COPY . .
# Another room's description, as JSON, in place of the checkout's own.
ARG ROOM
RUN if [ "$ROOM" ]; then printf '%s' "$ROOM" >room.yml; fi && docker/provision gateway.yml docker/inventory.py
WORKDIR /

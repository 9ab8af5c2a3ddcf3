# shellcheck shell=sh
# What a login shell has besides: the programs of the system, and a word about those that are missing. Brought by labroom.
case :$PATH: in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;; esac

# bash(1), COMMAND EXECUTION; a distribution may have a handler of its own.
if [ -n "${BASH_VERSION-}" ] && ! command -v command_not_found_handle >/dev/null; then
    command_not_found_handle() {
        case $1 in
            python | python2) set -- "$1" "" "its name here is python3" ;;
            pip | pip2 | pip3) set -- "$1" python3-pip "or: python3 -m venv FOLDER, which has one" ;;
            pytest) set -- "$1" python3-pytest ;;
            ipython | ipython3) set -- "$1" ipython3 ;;
            jar | java | javac | jshell) set -- "$1" default-jdk-headless ;;
            mvn) set -- "$1" maven ;;
            node) set -- "$1" nodejs ;;
            npx) set -- "$1" npm ;;
            tsc) set -- "$1" node-typescript ;;
            clang++) set -- "$1" clang ;;
            ctags) set -- "$1" universal-ctags ;;
            dot) set -- "$1" graphviz ;;
            erl) set -- "$1" erlang-base ;;
            gem | irb) set -- "$1" ruby ;;
            ghci) set -- "$1" ghc ;;
            go | gofmt) set -- "$1" golang-go ;;
            gnuplot) set -- "$1" gnuplot-nox ;;
            kotlinc) set -- "$1" kotlin ;;
            lua) set -- "$1" lua5.4 ;;
            ninja) set -- "$1" ninja-build ;;
            pdflatex) set -- "$1" texlive-latex-base ;;
            php) set -- "$1" php-cli ;;
            R | Rscript) set -- "$1" r-base-core ;;
            swipl) set -- "$1" swi-prolog-nox ;;
            tclsh) set -- "$1" tcl ;;
            7z | 7za) set -- "$1" p7zip-full ;;
            uudecode | uuencode) set -- "$1" sharutils ;;
            xz) set -- "$1" xz-utils ;;
            ag) set -- "$1" silversearcher-ag ;;
            bat) set -- "$1" bat "its name is then batcat" ;;
            batcat) set -- "$1" bat ;;
            emacs) set -- "$1" emacs-nox ;;
            fd) set -- "$1" fd-find "its name is then fdfind" ;;
            fdfind) set -- "$1" fd-find ;;
            gpg) set -- "$1" gnupg ;;
            hg) set -- "$1" mercurial ;;
            nvim) set -- "$1" neovim ;;
            rg) set -- "$1" ripgrep ;;
            sponge | ts) set -- "$1" moreutils ;;
            svn) set -- "$1" subversion ;;
            unbuffer) set -- "$1" expect ;;
            unix2dos) set -- "$1" dos2unix ;;
            xmllint) set -- "$1" libxml2-utils ;;
            mysql) set -- "$1" default-mysql-client ;;
            psql) set -- "$1" postgresql-client ;;
            redis-cli) set -- "$1" redis-tools ;;
            ab) set -- "$1" apache2-utils ;;
            arping) set -- "$1" iputils-arping ;;
            brctl) set -- "$1" bridge-utils ;;
            hping) set -- "$1" hping3 ;;
            iptables-save) set -- "$1" iptables ;;
            mtr) set -- "$1" mtr-tiny ;;
            named) set -- "$1" bind9 ;;
            tracepath) set -- "$1" iputils-tracepath ;;
            crontab) set -- "$1" cron ;;
            getfacl | setfacl) set -- "$1" acl ;;
            inotifywait) set -- "$1" inotify-tools ;;
            iostat | mpstat | pidstat | sar) set -- "$1" sysstat ;;
            locate | updatedb) set -- "$1" plocate ;;
            lsb_release) set -- "$1" lsb-release ;;
            lsmod | modprobe) set -- "$1" kmod ;;
            lspci) set -- "$1" pciutils ;;
            lsusb) set -- "$1" usbutils ;;
            mkpasswd) set -- "$1" whois ;;
            perf) if [ -e /etc/dpkg/origins/ubuntu ]; then set -- "$1" linux-tools-generic; else set -- "$1" linux-perf; fi ;;
            uuidgen) set -- "$1" uuid-runtime ;;
            ant | apache2 | astyle | at | atop | autoconf | automake | bc | bison | black | bmon | btop | bzip2 | cargo | \
                clang | clang-format | clang-tidy | cmake | colordiff | conntrack | cppcheck | cscope | csh | dc | ddd | \
                dos2unix | doxygen | ed | elixir | entr | ethtool | expect | fdisk | figlet | finger | fish | flake8 | flex | \
                ftp | fzf | gawk | gfortran | gh | ghc | gradle | hexedit | hping3 | htop | iftop | indent | iotop | ipcalc | \
                iperf | iperf3 | iptables | joe | jq | kotlin | ksh | lcov | lftp | links | lldb | ltrace | lynx | mc | \
                meson | mypy | nasm | ncat | nethogs | nginx | ngrep | nload | nmap | nodejs | npm | ocaml | octave | \
                parallel | parted | patch | pipx | pkg-config | pv | pwgen | pylint | rename | rlwrap | rsync | ruby | rustc | \
                sbcl | scala | screen | shellcheck | siege | socat | sqlite3 | sshfs | sshpass | stress | stress-ng | \
                tcpflow | tcsh | telnet | tig | tshark | ufw | unzip | virtualenv | w3m | wget | whois | wireshark | wrk | \
                xterm | yasm | zip | zsh | zstd)
                set -- "$1" "$1" ;;
            labroom) set -- "$1" "" "a command of the machine that holds this room; from guest to guest: ssh GUEST" ;;
            *) set -- "$1" ;;
        esac
        echo "$1: command not found${2:+: sudo apt-get update; sudo apt-get install $2}${3:+: $3}" >&2
        return 127
    }
fi

# shellcheck shell=sh
# What a login shell has besides: the programs of the system, and a word about those that are missing. Brought by labroom.
case :$PATH: in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;; esac

# bash(1), COMMAND EXECUTION; a distribution may have a handler of its own.
if [ -n "${BASH_VERSION-}" ] && ! command -v command_not_found_handle >/dev/null; then
    command_not_found_handle() {
        case $1 in
            crontab) set -- "$1" cron ;;
            emacs) set -- "$1" emacs-nox ;;
            hping) set -- "$1" hping3 ;;
            perf) set -- "$1" linux-perf ;;
            pip | pip3) set -- "$1" python3-pip ;;
            lsmod | modprobe) set -- "$1" kmod ;;
            at | bc | clang | cmake | ftp | hping3 | htop | info | iperf3 | ltrace | nmap | rsync | screen | socat | telnet | tshark | wget | zsh)
                set -- "$1" "$1" ;;
            labroom) set -- "$1" "" "a command of the machine that holds this room; from guest to guest: ssh GUEST" ;;
            *) set -- "$1" ;;
        esac
        echo "$1: command not found${2:+: sudo apt-get update; sudo apt-get install $2}${3:+: $3}" >&2
        return 127
    }
fi

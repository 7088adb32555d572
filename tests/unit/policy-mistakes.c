/* SPDX-License-Identifier: MIT */
/*
 * policy-mistakes.c: the mistakes an administrator makes, each with what is said about it: all
 * errors, as LINE:COLUMN: MESSAGE | HINT, one a line.
 */
#include "policy-support.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct mistake {
	const char *text;
	const char *said;
} mistakes[] = {
	/* clang-format off */
	{"subject s {\n\tuser alice\n\tallow raed /x\n}\n",
		"3:8: unknown right 'raed' | did you mean 'read'?"},
	{"subject s {\n\tuser alice\n\tallow Read /x\n}\n",
		"3:8: unknown right 'Read' | did you mean 'read'?"},
	{"subject s {\n\tuser alice\n\tallow read,, /x\n}\n",
		"3:13: a right is missing\n"
		"3:14: a right is missing | there is no blank behind a comma: read,write"},
	{"subject s {\n\tuser alice\n\tallow read, write /x\n}\n",
		"3:13: a right is missing | there is no blank behind a comma: read,write"},
	{"subject s {\n\tuser alice\n\tallow READ,WRITE-TREE /x\n}\n",
		"3:8: unknown right 'READ' | did you mean 'read'?\n"
		"3:13: unknown right 'WRITE-TREE' | did you mean 'write-tree'?"},
	{"subject s {\n\tuser alice\n\tallow read $HOME/x\n}\n",
		"3:13: unknown variable '$HOME' | write %h"},
	{"subject s {\n\tuser alice\n\tallow read /x/$USER\n}\n",
		"3:16: unknown variable '$USER' | write %u"},
	{"subject s {\n\tuser alice\n\tallow read /x/[%u]\n}\n",
		"3:17: '%' has no meaning within brackets | for the character itself put a backslash before it"},
	{"subject s {\n\tuser 0, 1\n}\n",
		"2:7: '0,' is no user | values are separated by blanks"},
	{"subject s {\n\tuser alice\n\tlimit rate none burst 5\n}\n",
		"3:18: 'burst' has no meaning without a rate"},
	{"subject s { user alice\n\tallow read x\n}\n",
		"1:13: something behind the '{' | write each statement, and the '}', on a line of its own"},
	{"subject s { user alice }\nmap x /y\n",
		"1:13: something behind the '{' | write each statement, and the '}', on a line of its own\n"
		"2:5: what is mapped must be an absolute path | a path begins with '/'"},
	{"sujbect s {\n\tuser alice\n\tallow read x\n}\nmap x /y\n",
		"1:1: unknown statement 'sujbect' | did you mean 'subject'?\n"
		"5:5: what is mapped must be an absolute path | a path begins with '/'"},
	{"include .//./policy\n",
		"1:9: '/etc/fdbroker/policy' is read already | a file counts once, wherever it is included"},
	{"subject s {\n\tuser alice\n\tallow read,read /x\n}\n",
		"3:13: the right 'read' is there twice"},
	{"subject s {\n\tuser alice\n\tallow all /x\n}\n",
		"3:8: 'all' is only for deny | name the rights that are needed: read, write, create, ..."},
	{"subject s {\n\tuser alice\n\tallow read,connect /x\n}\n",
		"3:8: rights on paths and on addresses in one rule | write two rules\n"
		"3:21: 'connect' and 'bind' need an address | for example unix:/run/app.sock or tcp:127.0.0.1:5432"},
	{"subject s {\n\tuser alice\n\tdeny al /x\n}\n",
		"3:7: unknown right 'al' | did you mean 'all'?"},
	{"subject s {\n\tuser alice\n\talow read /x\n}\n",
		"3:2: unknown statement 'alow' | did you mean 'allow'?"},
	{"subject s {\n\tuser alice\n\tallow\n}\n",
		"3:7: something is missing behind 'allow' | allow RIGHTS PATTERN... [OPTION]..."},
	{"subject s {\n\tuser alice\n\tallow read\n}\n",
		"3:12: something is missing behind 'allow' | allow RIGHTS PATTERN... [OPTION]..."},
	{"subject s {\n\tuser alice\n\tdeny read\n}\n",
		"3:11: something is missing behind 'deny' | deny RIGHTS|all PATTERN..."},
	{"subject s {\n\tuser alice\n\tuser\n}\n",
		"3:6: something is missing behind 'user' | user NAME|UID|UID-UID|*..."},
	{"subject s {\n\tuser alice\n\tbogus\n}\n",
		"3:2: unknown statement 'bogus'"},
	{"subject s {\n\tuser alice\n\tallow read x\n}\n",
		"3:13: unknown option 'x' | a path begins with '/'; options are mode, owner, type, exec, idmap, any-peer and timeout"},
	{"subject s {\n\tuser alice\n\tallow read srv/x\n}\n",
		"3:13: a pattern must be an absolute path | a path begins with '/' or %h"},
	{"subject s {\n\tuser alice\n\tallow read ./x\n}\n",
		"3:13: a pattern must be an absolute path | a path begins with '/' or %h"},
	{"subject s {\n\tuser alice\n\tallow read /x/\n}\n",
		"3:15: a slash at the end | leave it out: a directory is named like a file"},
	{"subject s {\n\tuser alice\n\tallow read //x\n}\n",
		"3:14: an empty component: '//' | write one slash"},
	{"subject s {\n\tuser alice\n\tallow read /x//y\n}\n",
		"3:16: an empty component: '//' | write one slash"},
	{"subject s {\n\tuser alice\n\tallow read /x/./y\n}\n",
		"3:16: '.' has no place in a pattern | write the path as it is without it"},
	{"subject s {\n\tuser alice\n\tallow read /x/../y\n}\n",
		"3:16: '..' has no place in a pattern | write the path as it is without it"},
	{"subject s {\n\tuser alice\n\tallow read ..\n}\n",
		"3:13: a pattern must be an absolute path | a path begins with '/' or %h"},
	{"subject s {\n\tuser alice\n\tallow read /**x\n}\n",
		"3:14: '**' must be a whole component | write '*' here, or '**' between two slashes"},
	{"subject s {\n\tuser alice\n\tallow read /x/a**\n}\n",
		"3:17: '**' must be a whole component | write '*' here, or '**' between two slashes"},
	{"subject s {\n\tuser alice\n\tallow read /x/***\n}\n",
		"3:16: '**' must be a whole component | write '*' here, or '**' between two slashes"},
	{"subject s {\n\tuser alice\n\tallow read /x/[a\n}\n",
		"3:16: the bracket is not closed | close it with ']', or write \\[ for the character itself"},
	{"subject s {\n\tuser alice\n\tallow read /x/a]\n}\n",
		"3:17: a ']' without a '[' | for the character itself write \\]"},
	{"subject s {\n\tuser alice\n\tallow read /x/[]\n}\n",
		"3:16: the bracket is not closed | close it with ']', or write \\[ for the character itself"},
	{"subject s {\n\tuser alice\n\tallow read /x/[z-a]\n}\n",
		"3:17: a range that holds nothing | write the lower character first"},
	{"subject s {\n\tuser alice\n\tallow read /x/[a-c-e]\n}\n",
		"3:20: a range without a beginning | put a backslash before a '-' that is meant as such"},
	{"subject s {\n\tuser alice\n\tallow read /x/[[:alpha:]]\n}\n",
		"3:17: named character classes are not known here | write out the range, as in [a-z]"},
	{"subject s {\n\tuser alice\n\tallow read /x/[a/b]\n}\n",
		"3:18: '/' within brackets | a wildcard never matches '/'"},
	{"subject s {\n\tuser alice\n\tallow read /x/{a,b\n}\n",
		"3:16: the brace is not closed | close it with '}', or write \\{ for the character itself"},
	{"subject s {\n\tuser alice\n\tallow read /x/a}\n}\n",
		"3:17: a '}' without a '{' | for the character itself write \\}"},
	{"subject s {\n\tuser alice\n\tallow read /x/{a,{b,c}}\n}\n",
		"3:19: braces do not nest | write the cases out"},
	{"subject s {\n\tuser alice\n\tallow read /x/{a,}/y\n}\n",
		"3:20: an empty component: '//' | write one slash"},
	{"subject s {\n\tuser alice\n\tallow read \"/x y\n}\n",
		"3:13: the quote is not closed | close it on the same line, or write \\\" for the character itself"},
	{"subject s {\n\tuser alice\n\tallow read /x y\n}\n",
		"3:16: unknown option 'y' | a path begins with '/'; options are mode, owner, type, exec, idmap, any-peer and timeout"},
	{"subject s {\n\tuser alice\n\tallow read /x\\\n}\n",
		"3:15: nothing follows the backslash | a rule stands on one line; for a backslash itself write two"},
	{"subject s {\n\tuser alice\n\tallow read /x\\q\n}\n",
		"3:15: unknown escape '\\q' | the escapes are \\n, \\t, \\xHH and \\ before punctuation"},
	{"subject s {\n\tuser alice\n\tallow read /x\\xg1\n}\n",
		"3:15: \\x needs two hexadecimal digits | for example \\x0a"},
	{"subject s {\n\tuser alice\n\tallow read /x\\x00\n}\n",
		"3:15: no name can hold a NUL byte"},
	{"subject s {\n\tuser alice\n\tallow read $nope/x\n}\n",
		"3:13: unknown variable '$nope' | a define stands before its first use"},
	{"subject s {\n\tuser alice\n\tallow read $/x\n}\n",
		"3:13: a '$' without the name of a define | for the character itself write \\$"},
	{"subject s {\n\tuser alice\n\tallow read /x/%q\n}\n",
		"3:16: unknown variable '%q' | there are %u (user name), %U (uid), %h (home) and %% (the character)"},
	{"subject s {\n\tuser alice\n\tallow read /x/%\n}\n",
		"3:16: a '%' without the name of a variable | for the character itself write %%"},
	{"subject s {\n\tuser alice\n\tallow read /x/%h\n}\n",
		"3:16: %h is an absolute path and can only begin a pattern | for a name within a path there is %u"},
	{"subject s {\n\tuser alice\n\tallow read %hx\n}\n",
		"3:15: %h is a whole path, nothing can be joined to it | put a '/' behind it"},
	{"subject s {\n\tuser alice\n\tdeny read /x mode 0600\n}\n",
		"3:15: a deny has no options | a deny takes everything away, whatever it is"},
	{"subject s {\n\tuser alice\n\tallow read /x mode 0600\n}\n",
		"3:16: 'mode' has no meaning without create, mkdir or bind"},
	{"subject s {\n\tuser alice\n\tallow create /x mode 0689\n}\n",
		"3:23: '0689' is no octal mode | for example 0640"},
	{"subject s {\n\tuser alice\n\tallow create /x mode 1777\n}\n",
		"3:23: a mode above 0777 | set-uid, set-gid and sticky bits are never given"},
	{"subject s {\n\tuser alice\n\tallow create /x mode\n}\n",
		"3:22: something is missing behind 'mode' | for example 'mode 0640'"},
	{"subject s {\n\tuser alice\n\tallow create /x mode 0600 mode 0600\n}\n",
		"3:28: the option 'mode' is there twice"},
	{"subject s {\n\tuser alice\n\tallow create /x mod 0600\n}\n",
		"3:18: unknown option 'mod' | did you mean 'mode'?"},
	{"subject s {\n\tuser alice\n\tallow create /x mode 0600 /y\n}\n",
		"3:28: patterns stand before the options"},
	{"subject s {\n\tuser alice\n\tallow create /x owner nosuch\n}\n",
		"3:24: there is no user 'nosuch' | look it up with 'getent passwd', or give its number"},
	{"subject s {\n\tuser alice\n\tallow create /x owner alice:nosuch\n}\n",
		"3:24: there is no group 'nosuch' | look it up with 'getent group', or give its number"},
	{"subject s {\n\tuser alice\n\tallow create /x owner nobody\n}\n",
		"3:24: 65534 is the kernel's overflow uid | it stands for everyone who is not mapped, and matches nothing; take another"},
	{"subject s {\n\tuser alice\n\tallow read /x owner alice\n}\n",
		"3:16: 'owner' has no meaning without create, mkdir or bind"},
	{"subject s {\n\tuser alice\n\tallow read /x type chrdev\n}\n",
		"3:21: unknown type 'chrdev' | did you mean 'chardev'?"},
	{"subject s {\n\tuser alice\n\tallow read /x type socket\n}\n",
		"3:21: unknown type 'socket' | there are chardev, blockdev and fifo"},
	{"subject s {\n\tuser alice\n\tallow stat /x exec\n}\n",
		"3:16: 'exec' has no meaning without read, write, create or a tree"},
	{"subject s {\n\tuser alice\n\tallow tree /x idmap 0 caller extra\n}\n",
		"3:31: unknown option 'extra' | a path begins with '/'; options are mode, owner, type, exec, idmap, any-peer and timeout"},
	{"subject s {\n\tuser alice\n\tallow write-tree /x idmap 0 caller\n}\n",
		"3:22: 'idmap' is only for a tree that cannot be written | its holder could leave a set-uid file of root's behind"},
	{"subject s {\n\tuser alice\n\tallow read /x idmap 0 caller\n}\n",
		"3:16: 'idmap' has no meaning without tree"},
	{"subject s {\n\tuser alice\n\tallow tree /x idmap 0 100\n}\n",
		"3:21: something is missing behind 'idmap' | for example 'idmap 0 caller' or 'idmap 0 100000 65536'"},
	{"subject s {\n\tuser alice\n\tallow tree /x idmap x caller\n}\n",
		"3:22: 'x' is no id | for example 'idmap 0 caller' or 'idmap 0 100000 65536'"},
	{"subject s {\n\tuser alice\n\tallow tree /x idmap 0 1 0\n}\n",
		"3:26: '0' is no number of ids that fits | for example 'idmap 0 caller' or 'idmap 0 100000 65536'"},
	{"subject s {\n\tuser alice\n\tallow tree /x/*\n}\n",
		"3:16: a tree cannot have a wildcard | name the directory; what is beneath it comes with it"},
	{"subject s {\n\tuser alice\n\tallow tree /x\n\tdeny read /x/y\n}\n",
		"3:2: the deny at /etc/fdbroker/policy:4 can match beneath the tree '/x' | its holder opens what is beneath without being asked: take out one of the two"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:1.2.3.4:80\n}\n",
		"3:16: its holder can reach other peers with this socket | add any-peer, and bound it with the service's IPAddressAllow="},
	{"subject s {\n\tuser alice\n\tallow bind unix:/x\n}\n",
		"3:13: its holder can reach other peers with this socket | add any-peer, and bound it with the service's IPAddressAllow="},
	{"subject s {\n\tuser alice\n\tallow connect unix-dgram:/x\n}\n",
		"3:16: its holder can reach other peers with this socket | add any-peer, and bound it with the service's IPAddressAllow="},
	{"subject s {\n\tuser alice\n\tallow connect unix:/x/*\n}\n",
		"3:16: an allowed socket cannot have a wildcard | name each socket, in braces or by several rules"},
	{"subject s {\n\tuser alice\n\tallow connect unix:x\n}\n",
		"3:21: a pattern must be an absolute path | a path begins with '/' or %h"},
	{"subject s {\n\tuser alice\n\tallow connect unix:\n}\n",
		"3:16: an empty pattern"},
	{"subject s {\n\tuser alice\n\tallow connect unix:@\n}\n",
		"3:16: an empty name"},
	{"subject s {\n\tuser alice\n\tallow connect /x\n}\n",
		"3:16: 'connect' and 'bind' need an address | for example unix:/run/app.sock or tcp:127.0.0.1:5432"},
	{"subject s {\n\tuser alice\n\tallow read unix:/x\n}\n",
		"3:13: a right on paths with an address | the rights on an address are connect and bind"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:localhost:80 any-peer\n}\n",
		"3:16: no IPv4 address (names are not looked up) | for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:1.2.3.4 any-peer\n}\n",
		"3:16: the port is missing | for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:1.2.3.4:99999 any-peer\n}\n",
		"3:16: a port is a number up to 65535, a range of them, or '*' | for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:1.2.3.4:9-8 any-peer\n}\n",
		"3:16: the range of ports holds nothing | for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:::1:80 any-peer\n}\n",
		"3:16: an IPv6 address is written [ADDRESS]:PORT | for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:10.0.0.1/8:80 any-peer\n}\n",
		"3:16: the address has bits behind its prefix | for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53"},
	{"subject s {\n\tuser alice\n\tallow connect tcp:10.0.0.0/33:80 any-peer\n}\n",
		"3:16: a prefix has at most 32 bits, of an IPv6 address 128 | for example tcp:127.0.0.1:5432, tcp:[::1]:80-89 or udp:*:53"},
	{"subject s {\n\tuser alice\n\tallow connect htp:/x\n}\n",
		"3:16: 'connect' and 'bind' need an address | for example unix:/run/app.sock or tcp:127.0.0.1:5432"},
	{"subject s {\n\tuser alice\n\tallow read /x timeout 0\n}\n",
		"3:24: '0' is no number of seconds from 1 to 86400 | for example 'timeout 5'"},
	{"subject s {\n\tuser alice\n\tallow read /x timeout 86401\n}\n",
		"3:24: '86401' is no number of seconds from 1 to 86400 | for example 'timeout 5'"},
	{"subject s {\n\tuser alice\n\tallow read /x timeout\n}\n",
		"3:23: something is missing behind 'timeout' | for example 'timeout 5'"},
	{"subject s {\n\tuser alice\n\tdeny read /x timeout 5\n}\n",
		"3:15: a deny has no options | a deny takes everything away, whatever it is"},
	{"subject s {\n\tuser alice\n\tallow read /x any-peer\n}\n",
		"3:16: 'any-peer' has no meaning without connect or bind"},
	{"subject s {\n\tuser alice\n\tallow read /x/{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}{0,1}\n}\n",
		"3:13: the rule expands to more than 1000 patterns | use a wildcard, or several rules"},
	{"subject s {\n\tuser alice\n\tlimit conections 8\n}\n",
		"3:8: unknown limit 'conections' | did you mean 'connections'?"},
	{"subject s {\n\tuser alice\n\tlimit connections 0\n}\n",
		"3:20: a limit of 0 | to allow nothing, write no allow"},
	{"subject s {\n\tuser alice\n\tlimit connections x\n}\n",
		"3:20: 'x' is no number | a number, or 'none'"},
	{"subject s {\n\tuser alice\n\tlimit connections\n}\n",
		"3:19: something is missing behind 'limit' | limit KIND NUMBER|none [total]"},
	{"subject s {\n\tuser alice\n\tlimit rate 10\n}\n",
		"3:13: a rate is a number a second | for example 'limit rate 1000/s'"},
	{"subject s {\n\tuser alice\n\tlimit rate 10/s burst\n}\n",
		"3:18: something is missing behind 'burst' | for example 'limit rate 1000/s burst 200'"},
	{"subject s {\n\tuser alice\n\tlimit rate 10/s total\n}\n",
		"3:18: unknown word 'total' | limit rate NUMBER/s [burst NUMBER]"},
	{"subject s {\n\tuser alice\n\tlimit connections 8 totl\n}\n",
		"3:22: unknown word 'totl' | limit KIND NUMBER|none [total]"},
	{"subject s {\n\tuser alice\n\tlimit connections 8\n\tlimit connections 9\n}\n",
		"4:8: the limit 'connections' is there twice"},
	{"subject s {\n\tuser alice\n\tuser nosuch\n}\n",
		"3:7: there is no user 'nosuch' | look it up with 'getent passwd', or give its number"},
	{"subject s {\n\tuser alice\n\tuser broken\n}\n",
		"3:7: cannot look up the user 'broken': Input/output error"},
	{"subject s {\n\tuser alice\n\tuser nobody\n}\n",
		"3:7: 65534 is the kernel's overflow uid | it stands for everyone who is not mapped, and matches nothing; take another"},
	{"subject s {\n\tuser alice\n\tuser 65534\n}\n",
		"3:7: 65534 is the kernel's overflow uid | it stands for everyone who is not mapped, and matches nothing; take another"},
	{"subject s {\n\tuser alice\n\tuser 5-2\n}\n",
		"3:7: the range '5-2' holds nothing | write the lower number first"},
	{"subject s {\n\tuser alice\n\tuser 4294967295\n}\n",
		"3:7: '4294967295' is no uid"},
	{"subject s {\n\tuser alice\n\tuser 1-99999999999\n}\n",
		"3:7: '1-99999999999' is no range | for example 100000-165535"},
	{"subject s {\n\tuser alice\n\tuser 60000-65534\n}\n",
		"3:7: 65534 is the kernel's overflow uid | it stands for everyone who is not mapped, and matches nothing; take another"},
	{"subject s {\n\tuser alice\n\tuser *x\n}\n",
		"3:7: '*' has no meaning in the name of a user | for the character itself put a backslash before it"},
	{"subject s {\n\tuser alice\n\tgroup nosuch\n}\n",
		"3:8: there is no group 'nosuch' | look it up with 'getent group', or give its number"},
	{"subject s {\n\tuser alice\n\tgroup nogroup\n}\n",
		"3:8: 65534 is the kernel's overflow gid | it stands for everyone who is not mapped, and matches nothing; take another"},
	{"subject s {\n\tuser alice\n\tuser $x\n}\n",
		"3:7: '$' has no meaning in the name of a user | for the character itself put a backslash before it"},
	{"subject s {\n\tuser alice\n\texe vector\n}\n",
		"3:6: an executable must be an absolute path | a path begins with '/'"},
	{"subject s {\n\tuser alice\n\texe /usr/bin/*\n}\n",
		"3:15: '*' has no meaning in an executable | for the character itself put a backslash before it"},
	{"subject s {\n\tuser alice\n\texe /usr/../x\n}\n",
		"3:6: an executable must be a canonical path | write it without '//', '.', '..' and without a slash at the end"},
	{"subject s {\n\tuser alice\n\tunit nginx\n}\n",
		"3:7: a unit's name ends in .service or .scope | for example nginx.service"},
	{"subject s {\n\tuser alice\n\tunit x.socket\n}\n",
		"3:7: a unit's name ends in .service or .scope | for example nginx.service"},
	{"subject s {\n\tuser alice\n\tvia x\n}\n",
		"3:6: 'x' is no address | write it as fdbrokerd's --listen has it: @NAME, /PATH or netns:/FILE/@NAME"},
	{"subject s {\n\tuser alice\n\tdelegate yes\n}\n",
		"3:11: too much behind 'delegate' | delegate"},
	{"subject s {\n\tuser alice\n\tlog denials\n}\n",
		"3:6: 'denials' cannot be recorded | 'log grants'; denials are recorded in any case"},
	{"subject s {\n\tuser alice\n\tlog\n}\n",
		"3:5: something is missing behind 'log' | log grants"},
	{"subject s {\n\tuser alice\n\tlog grants denials\n}\n",
		"3:13: too much behind 'log' | log grants"},
	{"log grants\n",
		"1:1: 'log' outside a subject | write it between 'subject NAME {' and '}'"},
	{"subject s {\n\tuser alice\n\tlabel \"\"\n}\n",
		"3:8: an empty name"},
	{"subject s {\n\tuser alice\n\tdefine x /y\n}\n",
		"3:2: 'define' within a subject | write it outside, or close the subject before"},
	{"subject s {\n\tuser alice\n\tmap /a /b\n}\n",
		"3:2: 'map' within a subject | write it outside, or close the subject before"},
	{"subject s {\n\tuser alice\n\tinclude x\n}\n",
		"3:2: 'include' within a subject | write it outside, or close the subject before"},
	{"subject s {\n\tuser alice\n\tsubject t {\n}\n",
		"1:9: the subject 's' is not closed | end it with a '}' on a line of its own\n"
		"3:10: the subject 't' has neither user nor group | add a line like 'user NAME'; 'user *' is everybody"},
	{"subject s {\n\tuser alice\n\texpect allow user alice read /x\n}\n",
		"3:2: 'expect' within a subject | write it outside, or close the subject before"},
	{"subject s {\n\tuser alice\n\t{\n}\n",
		"3:2: unknown statement '{'"},
	{"subject s {\n\tuser alice\n\t} x\n}\n",
		"3:4: too much behind '}' | }\n"
		"4:1: a '}' without a subject"},
	{"allow read /x\n",
		"1:1: 'allow' outside a subject | write it between 'subject NAME {' and '}'"},
	{"}\n",
		"1:1: a '}' without a subject"},
	{"subject s {\n\tuser alice\n",
		"1:9: the subject 's' is not closed | end it with a '}' on a line of its own"},
	{"subject s\n{\n\tuser alice\n}\n",
		"1:10: a '{' is missing | the line ends in ' {'"},
	{"subject s{\n\tuser alice\n}\n",
		"1:10: the '{' is part of the name | put a space before it"},
	{"subject {\n\tuser alice\n}\n",
		"1:9: the subject has no name | subject NAME {"},
	{"subject a b {\n\tuser alice\n}\n",
		"1:11: a subject has one name | subject NAME {"},
	{"subject a/b {\n\tuser alice\n}\n",
		"1:9: 'a/b' is no name for a subject | a name has letters, digits and '_', '.', '-', '@'"},
	{"subject \"a\tb\" {\n\tuser alice\n}\n",
		"1:9: '\"a\\tb\"' is no name for a subject | a name has letters, digits and '_', '.', '-', '@'"},
	{"subject s {\n\tallow read /x\n}\n",
		"1:9: the subject 's' has neither user nor group | add a line like 'user NAME'; 'user *' is everybody"},
	{"subject s {\n\texe /x\n}\n",
		"1:9: the subject 's' has neither user nor group | exe, unit, label and via only narrow a user or group; 'user *' is everybody"},
	{"subject s {\n\tuser alice\n}\nsubject s {\n\tuser bob\n}\n",
		"4:9: the subject 's' is at /etc/fdbroker/policy:1 already | a subject stands in one place"},
	{"include nope\n",
		"1:9: cannot read '/etc/fdbroker/nope': it does not exist"},
	{"include policy\n",
		"1:9: '/etc/fdbroker/policy' is read already | a file counts once, wherever it is included"},
	{"include\n",
		"1:8: something is missing behind 'include' | include FILE-OR-GLOB"},
	{"include a b\n",
		"1:11: too much behind 'include' | include FILE-OR-GLOB"},
	{"include *\n",
		"1:9: '/etc/fdbroker/policy' is read already | a file counts once, wherever it is included"},
	{"define a /x\ndefine a /y\n",
		"2:8: 'a' is defined at /etc/fdbroker/policy:1 already | a define is made once"},
	{"define a-b /x\n",
		"1:8: 'a-b' is no name for a define | a name has letters, digits and '_'"},
	{"define a\n",
		"1:9: something is missing behind 'define' | define NAME VALUE..."},
	{"define a $b\n",
		"1:10: unknown variable '$b' | a define stands before its first use"},
	{"define a {1,2}{1,2,3,4,5}{1,2,3,4,5,6,7,8,9,0}{1,2,3,4,5,6,7,8,9,0}{1,2}\n",
		"1:10: more than 1000 values | use a wildcard, or several defines"},
	{"map /a\n",
		"1:7: something is missing behind 'map' | map FROM TO"},
	{"map a /b\n",
		"1:5: what is mapped must be an absolute path | a path begins with '/'"},
	{"map /a /b/\n",
		"1:8: what it is mapped to must be a canonical path | write it without '//', '.', '..' and without a slash at the end"},
	{"map /a /b\nmap /a /c\n",
		"2:5: '/a' is mapped at /etc/fdbroker/policy:1 already | a path is mapped once"},
	{"map /a/* /b\n",
		"1:8: '*' has no meaning in what is mapped | for the character itself put a backslash before it"},
	{"expect allow group adm read /x\n",
		"1:8: the expect names no user | expect allow user NAME ..."},
	{"expect maybe user alice read /x\n",
		"1:8: neither allow nor deny | expect allow ... or expect deny ..."},
	{"expect allow user alice raed /x\n",
		"1:25: unknown right 'raed' | did you mean 'read'?"},
	{"expect allow user alice read x\n",
		"1:30: what is expected must be an absolute path | a path begins with '/'"},
	{"expect allow user alice read /x/*\n",
		"1:33: '*' has no meaning in what is expected | for the character itself put a backslash before it"},
	{"expect allow user nosuch read /x\n",
		"1:19: there is no user 'nosuch' | look it up with 'getent passwd', or give its number"},
	{"expect allow user alice connect tcp:x\n",
		"1:33: 'tcp:x' is no address | for example unix:/run/app.sock or tcp:127.0.0.1:5432"},
	{"expect allow user alice user bob read /x\n",
		"1:25: 'user' is there twice"},
	{"expect allow user alice group adm\n",
		"1:31: the expect names no path | expect allow user NAME RIGHTS PATH..."},
	{"expect deny user alice all /x\n",
		"1:24: 'all' is only for deny | name the rights that are needed: read, write, create, ..."},
	{"expect deny user alice read,tree /x\n",
		"1:24: tree, write-tree, connect and bind are each asked alone | write an expect for each"},
	{"expect deny user alice tree,write-tree /x\n",
		"1:24: tree, write-tree, connect and bind are each asked alone | write an expect for each"},
	{"expect deny user alice connect,bind unix:/x\n",
		"1:24: tree, write-tree, connect and bind are each asked alone | write an expect for each"},
	{"expect allow\n",
		"1:13: something is missing behind 'expect' | expect allow|deny user NAME [group NAME] RIGHTS PATH..."},
	{"\xef\xbb\xbf# hello\n",
		"1:1: the file begins with a byte order mark | save the file as UTF-8 without a byte order mark"},
	{"# hello\r\n# more\r\n",
		"1:8: the line ends in a carriage return | convert the file to UNIX line ends: sed -i 's/\\r$//' FILE"},
	{"# a\x01""b\n",
		"1:4: a control character (0x01) | in a pattern, write it as \\xHH"},
	{"allow\x1b[1m\n",
		"1:6: a control character (0x1b) | in a pattern, write it as \\xHH"},
	{"usre alice\n",
		"1:1: unknown statement 'usre' | did you mean 'user'?"},
	/* clang-format on */
};

static char *said_about(const char *text, size_t length)
{
	struct policy_diagnostics *diagnostics;
	char *result;
	size_t size;
	FILE *stream = open_memstream(&result, &size);

	files_reset();
	file_set(TEST_FILE, text, length);
	policy_free(load(&diagnostics));
	for (size_t i = 0; i < policy_diagnostics_count(diagnostics); i++) {
		const struct policy_diagnostic *one = policy_diagnostics_get(diagnostics, i);

		fprintf(stream, "%s%u:%u: %s%s%s%s", i ? "\n" : "", one->line, one->column,
			one->severity == POLICY_WARNING ? "warning: " : "", one->message,
			one->hint ? " | " : "", one->hint ? one->hint : "");
	}
	fclose(stream);
	policy_diagnostics_free(diagnostics);
	return result;
}

static void test_mistakes(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char *said = said_about(mistakes[i].text, strlen(mistakes[i].text));

		if (strcmp(said, mistakes[i].said) != 0) {
			print_error("%s\n  said     %s\n  expected %s\n", mistakes[i].text, said,
				mistakes[i].said);
			wrong++;
		}
		free(said);
	}
	assert_int_equal(wrong, 0);
}

/* Those that no string constant holds. */
static void test_bytes(void **state)
{
	static const char nul[] = "# a\0b\n# \0\n";
	size_t size = 1u << 20;
	char *said = said_about(nul, sizeof(nul) - 1), *line = malloc(size + 1);

	(void)state;
	assert_string_equal(said, "1:4: a NUL byte | is this a text file?");
	free(said);
	memset(line, 'x', size);
	line[size] = '\n';
	said = said_about(line, size + 1);
	assert_string_equal(said, "1:65537: the line has 1048576 bytes, more than 65536 | "
				  "spread it over several rules");
	free(said);
	/* A binary file: an end to the errors, and all of them countable. */
	for (size_t i = 0; i < size; i++)
		line[i] = (char)(i % 2 ? '\n' : 'a' + (char)(i % 26));
	said = said_about(line, size);
	assert_true(strlen(said) < 100000);
	free(said);
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests_name("policy-mistakes", tests, NULL, NULL);
}

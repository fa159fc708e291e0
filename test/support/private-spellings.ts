/**
 * This machine, as a URL's host may spell it. Those in `ipv4` are 127.0.0.1 itself, which a receiver can listen on; the others are
 * addresses or names that lead to it, or may do so.
 */
export const spellings = {
  ipv4: [
    "127.0.0.1",
    "127.0.0.1.",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "127.1",
    "127.0.1",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "%31%32%37.0.0.1",
  ],
  mapped: ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]"],
  ipv6: ["[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]"],
  named: ["localhost", "LOCALHOST", "localhost.", "ｌｏｃａｌｈｏｓｔ", "a.localhost"],
} as const;

/** What leads neither to this machine nor to the public: never to be called without being listed. */
export const privateHosts = [
  ...["0.0.0.0", "0", "[::]", "[::127.0.0.1]", "[::ffff:0.0.0.0]"],
  ...["10.0.0.1", "167772161", "172.16.0.1", "192.168.0.1", "[::ffff:10.0.0.1]", "[fc00::1]", "[fd12:3456::1]"],
  ...["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fe80::1]", "[fec0::1]"],
  ...[
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "192.0.2.1",
    "240.0.0.1",
    "255.255.255.255",
    "[100::1]",
    "[2001:db8::1]",
  ],
  ...["224.0.0.1", "239.255.255.250", "[ff02::1]"],
  // What carries an IPv4 address on to where that leads.
  ...["[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:a00:1::]", "[2001::1]"],
  ...["[::ffff:0:127.0.0.1]"],
];

export const publicHosts = [
  "8.8.8.8",
  "134744072",
  "[2606:4700::1111]",
  "[::ffff:8.8.8.8]",
  "[64:ff9b::8.8.8.8]",
  "example.com",
];

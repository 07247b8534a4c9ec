const POLYNOMIAL = 0x1021;

/**
 * The CRC16 that clusters use (XMODEM). Modulo 16384 it is the slot. This one computes bit by bit and is only for
 * display; calls use `slotOf`.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
export function crc16(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text, "utf8")) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? POLYNOMIAL : 0)) & 0xffff;
  }
  return crc;
}

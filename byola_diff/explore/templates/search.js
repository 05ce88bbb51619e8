// Vectors of clips in rows, sums and differences of them, and the clips that lie in their direction.
"use strict";

/** Bytes of a text in base64. */
function bytesOf(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  return bytes;
}

/** Rows of 16-bit whole numbers, the low byte first, with the length of each row. */
function vectorsOf(text, dim) {
  const values = new Int16Array(bytesOf(text).buffer);
  const lengths = new Float64Array(values.length / dim);
  for (let row = 0; row < lengths.length; row++) {
    let sum = 0;
    for (let place = row * dim; place < (row + 1) * dim; place++) sum += values[place] ** 2;
    lengths[row] = Math.sqrt(sum);
  }
  return { values, lengths, dim };
}

/** Sum of rows, each by its sign: terms are [{row, sign}]. A `start` of dim numbers is added. */
function combined(vectors, terms, start = null) {
  const query = new Float64Array(vectors.dim);
  if (start) query.set(start);
  for (const { row, sign } of terms) {
    const first = row * vectors.dim;
    for (let place = 0; place < vectors.dim; place++) {
      query[place] += sign * vectors.values[first + place];
    }
  }
  return query;
}

/** Cosine of each row with the query; 0 for a row that is 0; null if the query is 0. */
function cosines(vectors, query) {
  const length = Math.hypot(...query);
  if (length === 0) return null;
  const found = new Float64Array(vectors.lengths.length);
  for (let row = 0; row < found.length; row++) {
    let sum = 0;
    const first = row * vectors.dim;
    for (let place = 0; place < query.length; place++) {
      sum += query[place] * vectors.values[first + place];
    }
    found[row] = vectors.lengths[row] ? sum / (vectors.lengths[row] * length) : 0;
  }
  return found;
}

/** Numbers of the `most` highest values, the highest first, equal ones in order. */
function highest(values, most, isAllowed = () => true) {
  const rows = [];
  for (let row = 0; row < values.length; row++) if (isAllowed(row)) rows.push(row);
  return rows.sort((one, other) => values[other] - values[one] || one - other).slice(0, most);
}

/** The row nearest to a point, of those allowed and at most so far; null if there is none. */
function nearest(x, y, at, isAllowed, most = Infinity) {
  let found = null;
  let least = most ** 2;
  for (let row = 0; row < x.length; row++) {
    const distance = (x[row] - at.x) ** 2 + (y[row] - at.y) ** 2;
    if (distance <= least && isAllowed(row) && (found === null || distance < least)) {
      found = row;
      least = distance;
    }
  }
  return found;
}

/** The row nearest to one row among those in a direction, a quarter of all around; or null. */
function neighbourTowards(x, y, from, towards, isAllowed) {
  const isThere = (row) => {
    const along = (x[row] - x[from]) * towards.x + (y[row] - y[from]) * towards.y;
    const across = Math.abs((x[row] - x[from]) * towards.y - (y[row] - y[from]) * towards.x);
    return row !== from && along > 0 && across <= along && isAllowed(row);
  };
  return nearest(x, y, { x: x[from], y: y[from] }, isThere);
}

if (typeof module !== "undefined") {
  module.exports = { bytesOf, vectorsOf, combined, cosines, highest, nearest, neighbourTowards };
}

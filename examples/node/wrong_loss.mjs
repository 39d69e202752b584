import { serve } from "./xentcheck.mjs";

serve({ name: "wrong-loss", dtypes: "float64 float32" }, (z, y) => {
  const terms = Array.from(z, Math.exp); // the mistake: overflows for a logit above 709
  const sum = terms.reduce((total, term) => total + term, 0);
  return [Math.log(sum) - z[y], terms.map((term, k) => term / sum - (k === y ? 1 : 0))];
});
